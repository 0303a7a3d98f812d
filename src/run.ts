/** The story of `stasis run`: this process becomes the program, and a supervisor beside it answers the two system calls. */
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { x86_64 } from './arch/x86_64.ts';
import { StasisError } from './errors.ts';
import { LocalMemory, syscall, syscallError } from './linux/ffi.ts';
import { environment, silence, SpawnTable } from './linux/spawn.ts';
import { superviseSpawned, superviseThisProcess } from './supervisor.ts';

/** Exit codes of shells: 127 not found, 126 found and not executable. */
export class CommandError extends StasisError {
  override name = 'CommandError';
  readonly #exit: number;

  constructor(message: string, exit: number, hint?: string) {
    super('FAILED', message, hint === undefined ? { phase: 'exec' } : { phase: 'exec', hint });
    this.#exit = exit;
  }

  override get exitCode(): number {
    return this.#exit;
  }
}

/** Executes the command in this process. Returns only by throwing. */
export function runForeground(command: readonly string[]): never {
  const [name, ...words] = command;
  if (name === undefined || name === '') throw new StasisError('USAGE', 'Cannot run: no command was given');
  const path = findProgram(name);
  superviseThisProcess();
  undoNode();
  const table = new SpawnTable(x86_64.code.spawn); // only for its strings
  const result = syscall('execve', table.text(path), table.texts([name, ...words]), table.texts(environment()));
  const error = syscallError('execve', result, `Cannot execute ${path}`);
  throw new CommandError(error.message, 126);
}

function findProgram(name: string): string {
  if (name.includes('/')) return executable(name) ? name : missing(name);
  for (const directory of (process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter)) {
    const path = join(directory === '' ? '.' : directory, name);
    if (executable(path)) return path;
  }
  return missing(name);
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function missing(name: string): never {
  const there = name.includes('/') && statSync(name, { throwIfNoEntry: false }) !== undefined;
  throw new CommandError(`Cannot run ${name}: ${there ? 'it is not executable' : 'there is no such program'}`, there ? 126 : 127);
}

const RLIMIT_NOFILE = 7;
const SIGPIPE = 13;
const SIGXFSZ = 25;

/**
 * Node ignores SIGPIPE and SIGXFSZ, sets all other signals to their default action, raises the soft limit of open files and marks the
 * descriptors that it inherited close-on-exec; the program shall find what our caller had. bin/stasis notes it in the environment.
 */
export function undoNode(): void {
  const { STASIS_NOFILE: files, STASIS_SIGIGN: ignored, STASIS_FDS: inherited = '0 1 2' } = process.env;
  delete process.env['STASIS_NOFILE'];
  delete process.env['STASIS_SIGIGN'];
  delete process.env['STASIS_FDS'];
  const memory = LocalMemory.scratch('undo', 4096);
  if (files !== undefined && /^\d+$/.test(files)) {
    syscall('prlimit64', 0, RLIMIT_NOFILE, 0, memory.address);
    memory.view.setBigUint64(0, BigInt(files), true);
    syscall('prlimit64', 0, RLIMIT_NOFILE, memory.address, 0);
  }
  const F_SETFD = 2;
  for (const fd of inherited.split(' ')) if (/^\d+$/.test(fd)) syscall('fcntl', Number(fd), F_SETFD, 0);
  const mask = ignored !== undefined && /^[0-9a-f]{1,16}$/i.test(ignored) ? BigInt(`0x${ignored}`) : 0n;
  const SIG_IGN = 1n;
  for (let signal = 1; signal <= 64; signal++) {
    const ignore = (mask & (1n << BigInt(signal - 1))) !== 0n;
    if (!ignore && signal !== SIGPIPE && signal !== SIGXFSZ) continue;
    memory.bytes.fill(0, 0, 32);
    memory.view.setBigUint64(0, ignore ? SIG_IGN : 0n, true);
    syscall('rt_sigaction', signal, memory.address, 0, 8);
  }
}

/** One standard stream of a program in the background: nothing, the caller's own, or a file (appended to when written). */
export type StreamChoice = 'ignore' | 'inherit' | { readonly path: string };

export interface BackgroundStreams {
  readonly input: StreamChoice;
  readonly output: StreamChoice;
  readonly error: StreamChoice;
}

export interface BackgroundOptions {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly streams: BackgroundStreams;
}

/** Starts the command as a process of its own under a supervisor; its pid. */
export function runBackground(command: readonly string[], options: BackgroundOptions): number {
  const [name, ...words] = command;
  if (name === undefined || name === '') throw new StasisError('USAGE', 'Cannot run: no command was given');
  const path = resolve(options.directory, findProgram(name));
  const table = new SpawnTable(x86_64.code.spawn);
  table.blockSignals();
  table.add('setsid', []);
  table.add('chdir', [table.text(options.directory)]);
  const { input, output, error } = options.streams;
  [input, output, error].forEach((choice, fd) => addStream(table, fd, choice));
  const SIG_DFL = new Uint8Array(32);
  for (const signal of [SIGPIPE, SIGXFSZ]) table.add('rt_sigaction', [signal, table.bytes(SIG_DFL), 0, 8]);
  const supervision = superviseSpawned(table);
  table.unblockSignals();
  const environment = Object.entries(options.environment).map(([key, value]) => `${key}=${value}`);
  table.execute(path, [name, ...words], environment);
  const pid = table.start();
  supervision.afterStart(pid);
  return pid;
}

function addStream(table: SpawnTable, fd: number, choice: StreamChoice): void {
  if (choice === 'inherit') return table.inherit(fd);
  if (choice === 'ignore') return silence(table, fd);
  const AT_FDCWD = -100;
  const O_WRONLY_CREAT_APPEND = 0o2101;
  table.add('close', [fd], true);
  table.add('openat', [AT_FDCWD, table.text(choice.path), fd === 0 ? 0 : O_WRONLY_CREAT_APPEND, 0o666]); // gives fd: the lowest free
}
