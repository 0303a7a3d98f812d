/**
 * Process tests work in a Room: a directory below build/ and the processes that were started in it. Leaving the room ends
 * exactly those processes and removes the directory.
 *
 *     using room = new Room();
 *     const program = room.start([room.program('spin'), room.path('go')]);
 *     await program.line(/^ready/);
 *     const image = room.path('image');
 *     await room.stasis(['checkpoint', String(program.pid), '-o', image, '--kill']);
 *     const again = await room.restart(image, program);
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { performance } from 'node:perf_hooks';
import { build } from './build.ts';
import { closeInherited, identify, kill, runningBelow, type Process } from './processes.ts';
import { Program, until } from './program.ts';

closeInherited();

export const checkout: string = resolve(import.meta.dirname, '..');
export const commandPath = (name: 'stasis' | 'ckpt' | 'rstr'): string => join(checkout, 'bin', name);

export interface StartOptions {
  /** A path, by default /dev/null; or `pipe` for a real pipe (not the socket pair that child_process makes). */
  stdin?: string;
  /** Kept when given, so that a restarted program goes on in the file of its former self. */
  stdout?: string;
  cwd?: string;
  env?: Record<string, string>;
}

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
  ms: number;
}

export interface CommandOptions {
  stdin?: string;
  /** A path, for output that is an image. `stdout` of the result is empty then. */
  stdout?: string;
  stdoutFd?: number;
  timeoutMs?: number;
  cwd?: string;
  env?: Record<string, string>;
  /** Called with the process while it runs. */
  meanwhile?: (child: ChildProcess) => void | Promise<void>;
}

export class Room implements Disposable {
  readonly directory: string;
  readonly uid: number | undefined;
  private readonly processes: Process[] = [];
  private readonly fds: number[] = [];
  private count = 0;

  constructor({ uid }: { uid?: number | undefined } = {}) {
    const rooms = join(checkout, 'build', 'rooms');
    fs.mkdirSync(rooms, { recursive: true });
    this.directory = fs.mkdtempSync(join(rooms, 'room-'));
    this.uid = uid;
    fs.chmodSync(this.directory, 0o755);
    if (uid !== undefined) fs.chownSync(this.directory, uid, uid);
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** Copy of the test program test/programs/NAME.c of this room's own, so that its processes can be told by their exe. */
  program(name: string, flags: readonly string[] = [], copyAs: string = name.split('/').at(-1) ?? name): string {
    const copy = this.path(copyAs);
    if (!fs.existsSync(copy)) fs.copyFileSync(build(name, flags), copy);
    return copy;
  }

  go(content = ''): void {
    fs.writeFileSync(this.path('go.new'), content, { mode: 0o644 });
    fs.renameSync(this.path('go.new'), this.path('go'));
  }

  asCaller(command: readonly string[]): [string, string[]] {
    const [file = '', ...args] = command;
    if (this.uid === undefined) return [file, args];
    const id = String(this.uid);
    return ['setpriv', ['--reuid', id, '--regid', id, '--clear-groups', '--inh-caps=-all', '--', file, ...args]];
  }

  /** Has `kill` at the end; for processes that did not start by {@link start}. */
  own(pid: number): Process {
    const process = identify(pid);
    this.processes.push(process);
    return process;
  }

  /**
   * Starts a program that is nobody's child here: libuv waits for its own children, and a tracer of such a child in the
   * same process would lose its stops. `setsid --fork` makes it a child of init, in a session of its own.
   */
  async start(command: readonly string[], options: StartOptions = {}): Promise<Program> {
    const name = `${++this.count}`;
    const stdout = options.stdout ?? this.path(`${name}.out`);
    const [stderr, pidFile, feeder] = [this.path(`${name}.err`), this.path(`${name}.pid`), this.path(`${name}.feeder`)];
    const keep = options.stdout === undefined ? '>' : '>>';
    const become = 'echo $$ > "$PID_FILE.new" && mv "$PID_FILE.new" "$PID_FILE" && unset PID_FILE FEEDER && exec "$@"';
    const run = `sh -c '${become}' sh "$@" ${keep}"${stdout}" 2>"${stderr}"`;
    let script = `exec ${run} <"${options.stdin ?? '/dev/null'}"`;
    let stdin;
    if (options.stdin === 'pipe') {
      stdin = this.feed(this.path(`${name}.fifo`));
      script = `sh -c 'echo $$ > "$FEEDER"; exec cat "${this.path(`${name}.fifo`)}"' 2>/dev/null | ${run}`;
    }
    const [file, args] = this.asCaller(['setsid', '--fork', 'sh', '-c', script, 'sh', ...command]);
    const env = { ...process.env, ...options.env, PID_FILE: pidFile, FEEDER: feeder };
    const started = spawnSync(file, args, { stdio: 'ignore', cwd: options.cwd ?? this.directory, env });
    if (started.status !== 0) throw new Error(`Cannot start ${command.join(' ')}: ${started.error?.message ?? started.status}`);
    const pid = Number(await until(`the start of ${command.join(' ')}`, () => readIfThere(pidFile)));
    const target = this.own(pid);
    if (stdin) this.own(Number(await until('the start of the feeder', () => readIfThere(feeder))));
    return new Program(target, stdout, stderr, stdin);
  }

  /** One of our commands, with everything it says. A command that hangs is killed, and that is an error. */
  async command(name: 'stasis' | 'ckpt' | 'rstr', args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    const id = `command-${++this.count}`;
    const [outPath, errPath] = [options.stdout ?? this.path(`${id}.out`), this.path(`${id}.err`)];
    const input = fs.openSync(options.stdin ?? '/dev/null', 'r');
    const output = options.stdoutFd ?? fs.openSync(outPath, 'w');
    const errors = fs.openSync(errPath, 'w');
    const [file, fileArgs] = this.asCaller([commandPath(name), ...args]);
    const begin = performance.now();
    const env = { ...process.env, ...options.env };
    const child = spawn(file, fileArgs, { stdio: [input, output, errors], cwd: options.cwd ?? this.directory, env });
    for (const fd of [input, errors, ...(options.stdoutFd === undefined ? [output] : [])]) fs.closeSync(fd);
    // `exit`, not `close`: a program that the command left in the background may keep its output open.
    const ended = new Promise<[number | null, NodeJS.Signals | null]>((done, failed) => {
      child.once('exit', (code, signal) => done([code, signal]));
      child.once('error', failed);
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, options.timeoutMs ?? 60_000);
    await options.meanwhile?.(child);
    const [code, signal] = await ended;
    clearTimeout(timer);
    const captured = options.stdout === undefined && options.stdoutFd === undefined;
    const result = {
      code,
      signal,
      stdout: captured ? fs.readFileSync(outPath, 'utf8') : '',
      stderr: fs.readFileSync(errPath, 'utf8'),
      ms: performance.now() - begin,
    };
    if (late) throw new Error(`${name} ${args.join(' ')} did not end; it said: ${result.stderr}`);
    return result;
  }

  stasis(args: readonly string[], options: CommandOptions = {}): Promise<Finished> {
    return this.command('stasis', args, options);
  }

  /** `stasis checkpoint`, which must succeed. */
  async checkpoint(program: Program, image: string, ...flags: readonly string[]): Promise<Finished> {
    return succeeded('checkpoint', await this.stasis(['checkpoint', String(program.pid), '-o', image, ...flags]));
  }

  /** `stasis restart -d`, which must succeed: the same program again, under a new pid. */
  async restart(image: string, former: Program, options: { stdin?: 'pipe'; flags?: readonly string[] } = {}): Promise<Program> {
    if (options.stdin !== 'pipe') {
      const { stdout } = succeeded('restart', await this.stasis(['restart', '-d', ...(options.flags ?? []), image]));
      if (!/^\d+\n$/.test(stdout)) throw new Error(`restart -d prints the pid alone, not ${JSON.stringify(stdout)}`);
      return new Program(this.own(Number(stdout)), former.stdoutPath, former.stderrPath);
    }
    const command = await this.start([commandPath('stasis'), 'restart', '-d', image], { stdin: 'pipe' });
    const [, pid] = await command.line(/^(\d+)\n/);
    return new Program(this.own(Number(pid)), former.stdoutPath, former.stderrPath, command.stdin);
  }

  [Symbol.dispose](): void {
    for (const process of this.processes) kill(process, 'SIGKILL');
    // Whoever runs a program of this room came from here too, by a restart that should not have worked.
    for (const pid of runningBelow(this.directory)) kill(identify(pid), 'SIGKILL');
    for (const fd of this.fds) fs.closeSync(fd);
    fs.rmSync(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  /** A fifo that `cat` copies into the pipe. Open for both directions here, so it does not end before the room does. */
  private feed(fifo: string): { write(text: string): void } {
    spawnSync('mkfifo', ['-m', '666', fifo]);
    const fd = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
    this.fds.push(fd);
    return { write: (text) => void fs.writeSync(fd, text) };
  }
}

export function succeeded(what: string, finished: Finished): Finished {
  if (finished.code === 0) return finished;
  throw new Error(`${what} ended with ${finished.code ?? finished.signal}: ${finished.stderr}${finished.stdout.slice(-500)}`);
}

function readIfThere(path: string): string | undefined {
  return fs.existsSync(path) ? fs.readFileSync(path, 'utf8').trim() || undefined : undefined;
}
