/** The story of `stasis run`: this process becomes the program, and a supervisor beside it answers the two system calls. */
import { accessSync, closeSync, constants, readSync, statSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { x86_64 } from './arch/x86_64.ts';
import { callerArguments, callerEnvironment } from './caller.ts';
import { StasisError } from './errors.ts';
import { LocalMemory, syscall, syscallError } from './linux/ffi.ts';
import { makePipe } from './linux/descriptors.ts';
import { closeFrom, SpawnTable, type Streams } from './linux/spawn.ts';
import type { SeriesOptions } from './series.ts';
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
export function runForeground(command: readonly string[], series?: SeriesOptions): never {
  const [name] = command;
  if (name === undefined || name === '') throw new StasisError('USAGE', 'Cannot run: no command was given');
  const path = findProgram(name, process.env['PATH'], '.');
  const variables = callerEnvironment();
  superviseThisProcess(series);
  undoNode();
  const table = new SpawnTable(x86_64.code.spawn); // only for its strings
  const result = syscall('execve', table.text(path), table.texts(callerArguments(command.length)), table.texts(variables));
  const error = syscallError('execve', result, `Cannot execute ${path}`);
  throw new CommandError(error.message, 126);
}

function findProgram(name: string, searched: string | undefined, directory: string): string {
  if (name.includes('/')) return executable(resolve(directory, name)) ? name : missing(name, directory);
  for (const entry of (searched ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter)) {
    const path = join(entry === '' ? '.' : entry, name);
    if (executable(resolve(directory, path))) return path;
  }
  return missing(name, directory);
}

function executable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function missing(name: string, directory: string): never {
  const there = name.includes('/') && statSync(resolve(directory, name), { throwIfNoEntry: false }) !== undefined;
  throw new CommandError(`Cannot run ${name}: ${there ? 'it is not executable' : 'there is no such program'}`, there ? 126 : 127);
}

const RLIMIT_NOFILE = 7;
const SIGPIPE = 13;
const SIGXFSZ = 25;

/**
 * Node ignores SIGPIPE and SIGXFSZ, sets all other signals to their default action, unblocks all, raises the soft limit of open files and marks the
 * descriptors that it inherited close-on-exec; the program shall find what our caller had. bin/stasis notes it in the environment.
 */
export function undoNode(): void {
  const { STASIS_NOFILE: files, STASIS_SIGIGN: ignored, STASIS_SIGBLK: blocked, STASIS_FDS: inherited = '0 1 2' } = process.env;
  delete process.env['STASIS_NOFILE'];
  delete process.env['STASIS_SIGIGN'];
  delete process.env['STASIS_SIGBLK'];
  delete process.env['STASIS_FDS'];
  const memory = LocalMemory.scratch('undo', 4096);
  if (files !== undefined && /^\d+$/.test(files)) {
    syscall('prlimit64', 0, RLIMIT_NOFILE, 0, memory.address);
    memory.view.setBigUint64(0, BigInt(files), true);
    syscall('prlimit64', 0, RLIMIT_NOFILE, memory.address, 0);
  }
  const F_SETFD = 2;
  for (const fd of inherited.split(' ')) if (/^\d+$/.test(fd)) syscall('fcntl', Number(fd), F_SETFD, 0);
  const mask = signalMask(ignored);
  const SIG_IGN = 1n;
  for (let signal = 1; signal <= 64; signal++) {
    const ignore = (mask & (1n << BigInt(signal - 1))) !== 0n;
    if (!ignore && signal !== SIGPIPE && signal !== SIGXFSZ) continue;
    memory.bytes.fill(0, 0, 32);
    memory.view.setBigUint64(0, ignore ? SIG_IGN : 0n, true);
    syscall('rt_sigaction', signal, memory.address, 0, 8);
  }
  const SIG_SETMASK = 2;
  memory.view.setBigUint64(0, signalMask(blocked), true);
  syscall('rt_sigprocmask', SIG_SETMASK, memory.address, 0, 8);
}

/** As in /proc/PID/status. */
function signalMask(text: string | undefined): bigint {
  return text !== undefined && /^[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text}`) : 0n;
}

export interface BackgroundOptions {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly streams: Streams;
  /** Called with the pid of the new process before it does anything. */
  readonly born?: (pid: number) => void;
}

export interface Background {
  readonly pid: number;
  /** Absent when a supervisor further up serves it already. */
  readonly supervisor?: number;
}

/** Starts the command as a process of its own under a supervisor, in a session of its own, nobody's child. */
export function runBackground(command: readonly string[], options: BackgroundOptions): Background {
  const [name, ...words] = command;
  if (name === undefined || name === '') throw new StasisError('USAGE', 'Cannot run: no command was given');
  const { directory, environment, streams } = options;
  const path = findProgram(name, environment['PATH'], directory);
  const table = new SpawnTable(x86_64.code.spawn);
  table.blockSignals();
  table.add('setsid', []);
  table.streams(streams);
  table.defaultActions(SIGPIPE, SIGXFSZ);
  const changed = table.add('chdir', [table.text(directory)]);
  const supervision = superviseSpawned(table, streams[2]);
  table.unblockSignals();
  closeFrom(table, 3);
  const variables = Object.entries(environment).map(([key, value]) => `${key}=${value}`);
  const executed = table.execute(path, [name, ...words], variables);
  const [ending, held] = makePipe();
  try {
    const pid = table.start();
    closeSync(held);
    options.born?.(pid);
    const failure = (): number => Math.min(table.result(changed), table.result(executed));
    const supervisor = supervision.afterStart(pid, () => failure() < 0);
    // Whoever holds the other end closes it by executing the program, or by ending.
    readSync(ending, new Uint8Array(1));
    if (table.result(changed) < 0)
      throw syscallError('chdir', table.result(changed), `Cannot run ${name} in ${directory}`, { phase: 'exec' });
    if (table.result(executed) < 0)
      throw new CommandError(syscallError('execve', table.result(executed), `Cannot execute ${path}`).message, 126);
    table.free();
    return { pid, ...(supervisor !== undefined && { supervisor }) };
  } finally {
    closeSync(ending);
  }
}
