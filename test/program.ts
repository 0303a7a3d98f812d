/** A started program, seen through /proc and the files that hold its output. */
import * as fs from 'node:fs';
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { kill, processState, type Process } from './processes.ts';

/** Polls until `probe` gives something; says what was awaited, and what `describe` tells, when it does not. */
export async function until<T>(
  what: string,
  probe: () => T | undefined | false | null,
  { timeoutMs = 20_000, describe = () => '' }: { timeoutMs?: number; describe?: () => string } = {},
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = probe();
    if (found !== undefined && found !== false && found !== null) return found;
    if (performance.now() > end) throw new Error(`${what} did not happen within ${timeoutMs} ms. ${describe()}`);
    await sleep(2);
  }
}

/** A process that is not a child of this one, with its output in files. */
export class Program {
  readonly process: Process;
  readonly stdoutPath: string;
  readonly stderrPath: string;
  /** Present if standard input is a pipe: what is written here arrives there. */
  readonly stdin: { write(text: string): void } | undefined;

  constructor(process: Process, stdoutPath: string, stderrPath: string, stdin?: { write(text: string): void }) {
    this.process = process;
    this.stdoutPath = stdoutPath;
    this.stderrPath = stderrPath;
    this.stdin = stdin;
  }

  get pid(): number {
    return this.process.pid;
  }

  get stdout(): string {
    return fs.readFileSync(this.stdoutPath, 'utf8');
  }

  get stderr(): string {
    return fs.existsSync(this.stderrPath) ? fs.readFileSync(this.stderrPath, 'utf8') : '';
  }

  /** One letter as in /proc/PID/stat; undefined when the process is gone or waits to be reaped. */
  get state(): string | undefined {
    return processState(this.process);
  }

  get alive(): boolean {
    return this.state !== undefined;
  }

  describe(): string {
    return `pid ${this.pid}, state ${this.state ?? 'gone'}, stdout ends with:\n${this.stdout.slice(-2000)}\nstderr:\n${this.stderr}`;
  }

  line(pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    return until(`${pattern} on stdout`, () => pattern.exec(this.stdout), { timeoutMs, describe: () => this.describe() });
  }

  /** The last word of a test program; throws unless it is PASS. */
  async passes(timeoutMs = 30_000): Promise<void> {
    const verdict = (): RegExpExecArray | string[] | undefined => {
      const ended = !this.alive; // asked before the output is read: what it said last is there by then
      return /^(PASS|FAIL.*|error.*)$/m.exec(this.stdout) ?? (ended ? ['', 'no verdict'] : undefined);
    };
    const found = await until('a verdict', verdict, { timeoutMs, describe: () => this.describe() });
    if (found[1] !== 'PASS') throw new Error(`The program did not pass: ${this.describe()}`);
  }

  signal(signal: NodeJS.Signals): void {
    kill(this.process, signal);
  }

  gone(timeoutMs = 10_000): Promise<true> {
    return until(`the end of ${this.pid}`, () => !this.alive, { timeoutMs, describe: () => this.describe() });
  }
}
