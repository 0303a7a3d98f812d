/** /proc/PID/fd (`man 5 proc_pid_fd`). */
import { isUtf8 } from 'node:buffer';
import { listProc, readProcLinkBytesIfPresent, readProcLinkIfPresent, statProcIfPresent } from './read.ts';

/** An open descriptor and what the kernel says it leads to. */
export interface FdLink {
  readonly fd: number;
  readonly link: string;
  /** The link as it is, where it is not UTF-8. */
  readonly linkBytes?: Uint8Array;
}

/** What a descriptor's link text means. */
export type FdTarget =
  /** A file with a name, or one that had it; memfds show as `/memfd:NAME`, deleted. */
  | { readonly type: 'path'; readonly path: string; readonly deleted: boolean }
  | { readonly type: 'pipe' | 'socket'; readonly ino: bigint }
  /** e.g. `eventpoll`, `eventfd`, `inotify`, `pidfd` */
  | { readonly type: 'anon_inode'; readonly name: string }
  /** e.g. `net:[4026531840]`, a namespace */
  | { readonly type: 'other'; readonly link: string };

export interface FdStat {
  readonly dev: number;
  readonly ino: bigint;
  readonly mode: number;
  readonly nlink: number;
  /** Device number of a character or block special file. */
  readonly rdev: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  /** When the inode was made; 0 where the file system does not tell. With `ino` it names a file for good. */
  readonly birthtimeNs: bigint;
}

/** The open descriptors in ascending order. One that is closed meanwhile, through another task's shared table, is left out. */
export function readFds(pid: number): FdLink[] {
  const fds: FdLink[] = [];
  for (const fd of listProc(pid, 'fd')
    .map(Number)
    .sort((a, b) => a - b)) {
    const link = readProcLinkIfPresent(pid, `fd/${fd}`);
    if (link === undefined) continue;
    const linkBytes = link.includes('\ufffd') ? readProcLinkBytesIfPresent(pid, `fd/${fd}`) : undefined;
    fds.push(linkBytes === undefined || isUtf8(linkBytes) ? { fd, link } : { fd, link, linkBytes });
  }
  return fds;
}

/** Stat of the open file itself, whatever its name leads to now; undefined when the descriptor is not open. */
export function readFdStat(pid: number, fd: number): FdStat | undefined {
  const stat = statProcIfPresent(pid, `fd/${fd}`);
  if (stat === undefined) return undefined;
  return {
    dev: Number(stat.dev),
    ino: stat.ino,
    mode: Number(stat.mode),
    nlink: Number(stat.nlink),
    rdev: Number(stat.rdev),
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    size: stat.size,
    mtimeNs: stat.mtimeNs,
    birthtimeNs: stat.birthtimeNs,
  };
}

const deletedSuffix = ' (deleted)';

/** A live file whose own name ends in ` (deleted)` reads as deleted: nlink of {@link readFdStat} tells them apart. */
export function parseFdLink(link: string): FdTarget {
  if (link.startsWith('/')) {
    const deleted = link.endsWith(deletedSuffix) && link.length > deletedSuffix.length + 1;
    return { type: 'path', path: deleted ? link.slice(0, -deletedSuffix.length) : link, deleted };
  }
  const ino = /^(pipe|socket):\[(\d+)\]$/.exec(link);
  if (ino !== null) return { type: ino[1] === 'pipe' ? 'pipe' : 'socket', ino: BigInt(ino[2] ?? '') };
  // Most are `anon_inode:[name]`; inotify and a few more are written without the brackets.
  const name = /^anon_inode:\[?(.*?)\]?$/s.exec(link);
  if (name !== null) return { type: 'anon_inode', name: name[1] ?? '' };
  return { type: 'other', link };
}

/** A dev_t as stat gives it (glibc's gnu_dev_makedev). */
export function makeDevice(majorNumber: number, minorNumber: number): number {
  const low = ((majorNumber & 0xfff) << 8) | (minorNumber & 0xff);
  const high = Math.floor(majorNumber / 0x1000) * 2 ** 44;
  return low + Math.floor(minorNumber / 0x100) * 2 ** 20 + high;
}

/** Major number of a dev_t as stat gives it (glibc's gnu_dev_major; `man 3 major`). */
export function major(dev: number): number {
  const big = BigInt(dev);
  return Number(((big >> 8n) & 0xfffn) | ((big >> 32n) & 0xfffff000n));
}

/** Minor number of a dev_t as stat gives it. */
export function minor(dev: number): number {
  const big = BigInt(dev);
  return Number((big & 0xffn) | ((big >> 12n) & 0xffffff00n));
}
