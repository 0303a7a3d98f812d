/** A command on a pseudo-terminal of its own, through script(1), which every Debian has (bsdutils is essential). */
import { spawn, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { until } from './program.ts';
import { descendants, identify, kill } from './processes.ts';

export class Terminal implements Disposable {
  private readonly child: ChildProcess;
  private received = '';
  /** Exit status of the command, as script -e hands it on. */
  readonly ended: Promise<number | null>;

  constructor(command: string, { cwd, env = {} }: { cwd: string; env?: Record<string, string> }) {
    this.child = spawn('script', ['-qfec', command, '/dev/null'], {
      cwd,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, TERM: 'dumb', ...env },
    });
    this.child.stdout?.on('data', (data: Buffer) => (this.received += data.toString('utf8')));
    this.child.stdin?.on('error', () => {}); // it may end before it has read everything
    this.ended = new Promise((done) => this.child.once('exit', (code) => done(code)));
  }

  /** An interactive bash: prompt `> `, no start-up files, job control. */
  static async bash(cwd: string, env: Record<string, string> = {}): Promise<Terminal> {
    const settings = join(cwd, 'bashrc');
    writeFileSync(settings, "PS1='> '\nunset HISTFILE\n"); // bash takes no PS1 from the environment when it is root's
    const terminal = new Terminal(`exec bash --rcfile '${settings}' --noediting -i`, { cwd, env });
    try {
      await terminal.sees(/> $/);
      return terminal;
    } catch (error) {
      terminal[Symbol.dispose]();
      throw error;
    }
  }

  /** Of script(1). */
  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Everything that came, without carriage returns and escape sequences. */
  get text(): string {
    return stripVTControlCharacters(this.received.replaceAll('\r', ''));
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  /** Types, and waits for `pattern` in what comes after. */
  async enter(text: string, pattern: RegExp, timeoutMs = 20_000): Promise<RegExpExecArray> {
    const from = this.text.length;
    this.type(text);
    return this.sees(pattern, { from, timeoutMs });
  }

  sees(pattern: RegExp, { from = 0, timeoutMs = 20_000 } = {}): Promise<RegExpExecArray> {
    const describe = () => `The terminal showed: ${JSON.stringify(this.text.slice(from))}`;
    return until(`${pattern} on the terminal`, () => pattern.exec(this.text.slice(from)), { timeoutMs, describe });
  }

  [Symbol.dispose](): void {
    const root = this.child.pid;
    if (root === undefined) return;
    for (const pid of [...descendants(root), root]) kill(identify(pid), 'SIGKILL');
  }
}
