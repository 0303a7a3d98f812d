/**
 * Reading files of /proc/PID, with errors that say what happened to the process. Everything here is synchronous:
 * it runs while the target is frozen, on the one thread that may ptrace it.
 *
 * `pid` may be any thread id: the kernel answers /proc/TID too, although it does not list it (`man 5 proc_pid`).
 * Texts are decoded as UTF-8. A path that is not UTF-8 shows U+FFFD and so names no file: who needs it reads the link as bytes.
 */
import { readFileSync, readdirSync, readlinkSync, statSync, type BigIntStats } from 'node:fs';
import { StasisError, SyscallError } from '../../errors.ts';
import { errnoName } from '../errno.ts';

const accessHint =
  'Reading it needs ptrace access: be the same user as a dumpable target, or have CAP_SYS_PTRACE; see `stasis doctor`.';

/** `/proc/PID/name`. */
export function procPath(pid: number, name: string): string {
  return `/proc/${pid}/${name}`;
}

/** The text of /proc/PID/name. VANISHED when the process is gone, PRIVILEGE when it may not be read or the kernel lacks it. */
export function readProcText(pid: number, name: string): string {
  return attempt(pid, name, (path) => readFileSync(path, 'utf8'));
}

/** As {@link readProcText}, but undefined when the process exists and the kernel (or the kind of process) has no such file. */
export function readProcTextIfPresent(pid: number, name: string): string | undefined {
  return attemptIfPresent(pid, name, (path) => readFileSync(path, 'utf8'));
}

/** The bytes of /proc/PID/name. */
export function readProcBytes(pid: number, name: string): Uint8Array {
  return attempt(pid, name, (path) => readFileSync(path));
}

/** The target of the link /proc/PID/name, or undefined when the process exists and the link is not there. */
export function readProcLinkIfPresent(pid: number, name: string): string | undefined {
  return attemptIfPresent(pid, name, (path) => readlinkSync(path));
}

/** The same as bytes, for a target that need not be UTF-8. */
export function readProcLinkBytesIfPresent(pid: number, name: string): Uint8Array | undefined {
  return attemptIfPresent(pid, name, (path) => readlinkSync(path, { encoding: 'buffer' }));
}

/** stat of what /proc/PID/name leads to, or undefined when the process exists and the entry is not there. */
export function statProcIfPresent(pid: number, name: string): BigIntStats | undefined {
  return attemptIfPresent(pid, name, (path) => statSync(path, { bigint: true }));
}

/** The names in the directory /proc/PID/name, in the kernel's order. */
export function listProc(pid: number, name: string): string[] {
  return attempt(pid, name, (path) => readdirSync(path));
}

function attempt<T>(pid: number, name: string, action: (path: string) => T): T {
  const path = procPath(pid, name);
  try {
    return action(path);
  } catch (error) {
    throw explain(error, pid, path);
  }
}

function attemptIfPresent<T>(pid: number, name: string, action: (path: string) => T): T | undefined {
  const path = procPath(pid, name);
  try {
    return action(path);
  } catch (error) {
    const explained = explain(error, pid, path);
    if (explained instanceof MissingFileError) return undefined;
    throw explained;
  }
}

class MissingFileError extends StasisError {}

function explain(error: unknown, pid: number, path: string): unknown {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return error;
  const details = { pid, cause: error };
  switch (error.code) {
    case 'ENOENT':
      if (!exists('/proc/self')) {
        const hint = 'Mount it: `mount -t proc proc /proc`.';
        return new StasisError('PRIVILEGE', `Cannot read ${path}: /proc is not mounted.`, { ...details, hint });
      }
      if (exists(`/proc/${pid}`)) {
        const hint = 'The kernel was built without it, or the process is a kernel thread or a zombie.';
        return new MissingFileError('PRIVILEGE', `Cannot read ${path}: it does not exist.`, { ...details, hint });
      }
      return new StasisError('VANISHED', `Cannot read ${path}: process ${pid} does not exist.`, details);
    case 'ESRCH': {
      // The file was opened, but the task, or its memory, is gone (fs/proc/base.c: get_proc_task, proc_mem_open).
      const state = exists(`/proc/${pid}`) ? 'has no memory: it has exited, or is a kernel thread' : 'has exited';
      return new StasisError('VANISHED', `Cannot read ${path}: process ${pid} ${state}.`, details);
    }
    case 'EACCES':
    case 'EPERM': {
      // timerslack_ns of another task is not a matter of ptrace access (fs/proc/base.c: timerslack_ns_show).
      const hint = path.endsWith('/timerslack_ns') ? 'The timer slack of another process needs CAP_SYS_NICE.' : accessHint;
      return new StasisError('PRIVILEGE', `Cannot read ${path}: access is denied (${error.code}).`, { ...details, hint });
    }
    default: {
      const number = 'errno' in error && typeof error.errno === 'number' ? Math.abs(error.errno) : 0;
      return new SyscallError(String(error.syscall), number, errnoName(number), `Cannot read ${path}`, details);
    }
  }
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
