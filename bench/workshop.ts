/** Where benchmarks work: a room of the process tests, and a directory in memory. Both are gone when this process ends. */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { build } from '../test/build.ts';
import { checkout, commandPath, Room } from '../test/harness.ts';
import { kill, processState } from '../test/processes.ts';
import { type Program, until } from '../test/program.ts';

export interface Timed {
  readonly ms: number;
  readonly peakMiB: number;
  readonly stdout: string;
}

export class Workshop implements Disposable {
  readonly room: Room = new Room();
  /** On tmpfs, so that no disk is measured. */
  readonly memory: string = fs.mkdtempSync('/dev/shm/stasis-bench-');
  readonly rounds: number;
  readonly #timed = cProgram('timed');
  #count = 0;
  readonly #clean = (): void => {
    this.room[Symbol.dispose]();
    fs.rmSync(this.memory, { recursive: true, force: true });
  };

  constructor(rounds: number) {
    this.rounds = rounds;
    process.once('exit', this.#clean);
  }

  /** A name in memory that has not been used. */
  fresh(): string {
    return join(this.memory, `${++this.#count}`);
  }

  /** Runs a command that must succeed; time and peak memory as `timed.c` measures them. */
  timed(...command: readonly string[]): Timed {
    const options = { encoding: 'utf8', maxBuffer: 1 << 26 } as const;
    const { stdout, stderr } = spawnSync(this.#timed, command, options);
    const [, ms, kibibytes, status] = /^timed ([\d.]+) (\d+) (\d+)$/m.exec(stderr) ?? [];
    if (status !== '0') throw new Error(`${command.join(' ')} ended with ${status}: ${stderr}`);
    return { ms: Number(ms), peakMiB: Number(kibibytes) / 1024, stdout };
  }

  stasis(...args: readonly string[]): Timed {
    return this.timed(commandPath('stasis'), ...args);
  }

  /** `stasis restart -d`, whose program is ended again. */
  async restart(image: string, ...flags: readonly string[]): Promise<Timed> {
    const timed = this.stasis('restart', '-d', ...flags, image);
    await this.end(Number(timed.stdout));
    return timed;
  }

  /** Ends a restarted program, and waits until its memory is free. */
  async end(pid: number): Promise<void> {
    const restarted = this.room.own(pid);
    kill(restarted, 'SIGKILL');
    await until(`the end of ${pid}`, () => processState(restarted) === undefined);
  }

  async start(name: string, ...args: readonly string[]): Promise<Program> {
    const program = await this.room.start([this.room.program(name), this.room.path('go'), ...args]);
    await program.line(/^ready/, 120_000);
    return program;
  }

  async stop(program: Program): Promise<void> {
    program.signal('SIGKILL');
    await program.gone();
  }

  [Symbol.dispose](): void {
    process.off('exit', this.#clean);
    this.#clean();
  }
}

/** bench/programs/NAME.c, compiled. */
export function cProgram(name: string): string {
  return build(join(checkout, 'bench', 'programs', `${name}.c`));
}

/** Removes the file when `each` is done, whatever it gave. */
export async function withoutFile<T>(path: string, each: (path: string) => T | Promise<T>): Promise<T> {
  try {
    return await each(path);
  } finally {
    fs.rmSync(path, { force: true });
  }
}
