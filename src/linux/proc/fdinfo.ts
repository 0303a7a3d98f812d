/** /proc/PID/fdinfo/FD (`man 5 proc_pid_fdinfo`, fs/proc/fd.c: seq_show). */
import { readProcText } from './read.ts';
import { decimalBigInt, integer, lineEnd, malformed } from './scan.ts';

export interface FdInfo {
  /** File offset in bytes. */
  readonly pos: bigint;
  /** O_* as open takes them, with O_CLOEXEC (0o2000000) from the descriptor. */
  readonly flags: number;
  /** Id of the mount, as in /proc/PID/mountinfo. */
  readonly mnt_id: number;
  /** Inode number; since Linux 5.14. */
  readonly ino: bigint | undefined;
  /** What follows `lock:`, as in /proc/locks: `1: POSIX  ADVISORY  WRITE 4242 00:19:7 0 EOF`. */
  readonly locks: readonly string[];
  /** Descriptors that are under way in messages of a unix socket; undefined for other kinds. */
  readonly scm_fds: number | undefined;
  /** All other lines as the kernel wrote them, for the kind of file to parse: `eventfd-count: …`, `tfd: …`, … */
  readonly lines: readonly string[];
}

export function parseFdInfo(text: string): FdInfo {
  let pos: bigint | undefined;
  let flags = NaN;
  let mnt_id = NaN;
  let ino: bigint | undefined;
  let scm_fds: number | undefined;
  const locks: string[] = [];
  const lines: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = lineEnd(text, at);
    const line = text.slice(at, end);
    at = end + 1;
    const colon = line.indexOf(':');
    const value = line.slice(colon + 1).trim();
    switch (line.slice(0, colon)) {
      case 'pos':
        pos = signed(value);
        break;
      case 'flags':
        flags = /^[0-7]+$/.test(value) ? parseInt(value, 8) : NaN;
        break;
      case 'mnt_id':
        mnt_id = integer('fdinfo', value);
        break;
      case 'ino':
        ino = decimalBigInt(value, 0, value.length);
        break;
      case 'lock':
        locks.push(value);
        break;
      case 'scm_fds':
        scm_fds = integer('fdinfo', value);
        break;
      default:
        if (line !== '') lines.push(line);
    }
  }
  if (pos === undefined || Number.isNaN(flags + mnt_id)) return malformed('fdinfo', text);
  return { pos, flags, mnt_id, ino, locks, scm_fds, lines };
}

export function readFdInfo(pid: number, fd: number): FdInfo {
  return parseFdInfo(readProcText(pid, `fdinfo/${fd}`));
}

/** /dev/mem and its like allow offsets above 2^63, which the kernel prints as negative numbers. */
function signed(value: string): bigint | undefined {
  return value.startsWith('-') ? -(decimalBigInt(value, 1, value.length) ?? 0n) : decimalBigInt(value, 0, value.length);
}
