/** Lines of /proc/locks, and what follows `lock:` in /proc/PID/fdinfo/FD. Source: man 5 proc_locks, fs/locks.c (lock_get_status). */
import { readFileSync } from 'node:fs';
import { decimalBigInt, integer, malformed } from './scan.ts';

export interface FileLock {
  /** FLOCK: flock; POSIX: fcntl, of a process; OFDLCK: fcntl, of an open file description; LEASE and DELEG: fcntl F_SETLEASE. */
  readonly type: 'FLOCK' | 'POSIX' | 'OFDLCK' | 'LEASE' | 'DELEG';
  /** Of a lease: ACTIVE, or BREAKING when somebody waits for it. */
  readonly state: string;
  readonly access: 'READ' | 'WRITE' | 'UNLCK';
  /** Who made it; -1 for OFDLCK, 0 when it is not in our pid namespace. */
  readonly pid: number;
  /** `major:minor` of the file system in hexadecimal. */
  readonly device: string;
  readonly inode: bigint;
  readonly start: bigint;
  /** The last byte; undefined for the end of the file, wherever it is. */
  readonly end: bigint | undefined;
}

/** `1: POSIX  ADVISORY  WRITE 4242 00:19:7 0 EOF`; undefined for a lock that somebody waits for (`->`). */
export function parseLock(line: string): FileLock | undefined {
  const words = line.trim().split(/\s+/).slice(1);
  if (words[0] === '->') return undefined;
  const [type, state, access, pid, place, start, end] = words;
  const parts = /^([0-9a-f]+:[0-9a-f]+):(\d+)$/.exec(place ?? '');
  const first = start === undefined ? undefined : decimalBigInt(start, 0, start.length);
  const inode = parts?.[2] === undefined ? undefined : decimalBigInt(parts[2], 0, parts[2].length);
  if (
    (type !== 'FLOCK' && type !== 'POSIX' && type !== 'OFDLCK' && type !== 'LEASE' && type !== 'DELEG') ||
    state === undefined ||
    (access !== 'READ' && access !== 'WRITE' && access !== 'UNLCK') ||
    pid === undefined ||
    end === undefined ||
    first === undefined ||
    inode === undefined
  )
    return malformed('locks', line);
  return {
    type,
    state,
    access,
    pid: pid.startsWith('-') ? -1 : integer('locks', pid),
    device: parts?.[1] ?? '',
    inode,
    start: first,
    end: end === 'EOF' ? undefined : decimalBigInt(end, 0, end.length),
  };
}

/** All locks in force on this machine, as far as this pid namespace may see them. */
export function readLocks(): FileLock[] {
  const lines = readFileSync('/proc/locks', 'utf8').split('\n');
  return lines.filter((line) => line !== '').flatMap((line) => parseLock(line) ?? []);
}
