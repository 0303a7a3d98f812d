/** What kinds of open files have in common, and the descriptor table that holds them. */
import type { Blocker } from '../errors.ts';
import type { FdInfo } from '../linux/proc/fdinfo.ts';
import type { FdStat } from '../linux/proc/fds.ts';
import { localCall, openLocally } from './local-descriptors.ts';
import type { Collection, ImageNode, Rebuild } from './object.ts';
import { toPath, type PathName } from './path-name.ts';

/** One descriptor of the target, as /proc shows it. */
export interface OpenFile {
  readonly fd: number;
  /** Link text of /proc/PID/fd/N. */
  readonly link: string;
  /** The link as it is, where it is not UTF-8. */
  readonly linkBytes?: Uint8Array;
  readonly stat: FdStat;
  readonly info: FdInfo;
}

/** A kind of open file knows its own kind, and is asked in the order of the registry. */
export interface OpenFileKind {
  recognise(file: OpenFile, table: readonly OpenFile[], collection: Collection): boolean;
  /** The record of the open file description, with those it refers to before it; or why it cannot be carried. */
  collect(file: OpenFile, objref: number, table: readonly OpenFile[], collection: Collection): ImageNode[] | Blocker;
}

const S_IFMT = 0o170000;
export const fileType = {
  isRegular: (stat: Pick<FdStat, 'mode'>): boolean => (stat.mode & S_IFMT) === 0o100000,
  isDirectory: (stat: Pick<FdStat, 'mode'>): boolean => (stat.mode & S_IFMT) === 0o040000,
  isCharacterDevice: (stat: Pick<FdStat, 'mode'>): boolean => (stat.mode & S_IFMT) === 0o020000,
  isFifo: (stat: Pick<FdStat, 'mode'>): boolean => (stat.mode & S_IFMT) === 0o010000,
  isSymbolicLink: (stat: Pick<FdStat, 'mode'>): boolean => (stat.mode & S_IFMT) === 0o120000,
  isSocket: (stat: Pick<FdStat, 'mode'>): boolean => (stat.mode & S_IFMT) === 0o140000,
};

const O_ACCMODE = 3;
const O_CREAT_EXCL_NOCTTY_TRUNC = 0o1700;
/** Has no effect but with F_SETFL, see file-owner.ts. */
export const O_ASYNC = 0o20000;
const O_CLOEXEC = 0o2000000;

export const O_NONBLOCK = 0o4000;
export const O_DIRECT = 0o40000;
const O_APPEND = 0o2000;
const O_NOATIME = 0o1000000;
const F_SETFL = 4;

export const settable: number = O_NONBLOCK | O_DIRECT | O_APPEND | O_NOATIME;

/** Sets what of the flags can be set on an open file; O_ASYNC needs its owner first. Source: man 2 fcntl (F_SETFL). */
export function setStatusFlags(fd: number, flags: number): void {
  localCall('set the flags of a file', 'fcntl', [fd, F_SETFL, flags & settable]);
}

/** Flags for opening again: what open acted upon once is left out. */
export function reopenFlags(flags: number): number {
  return flags & ~(O_CREAT_EXCL_NOCTTY_TRUNC | O_CLOEXEC | O_ASYNC);
}

export function isCloseOnExec(info: FdInfo): boolean {
  return (info.flags & O_CLOEXEC) !== 0;
}

export function accessMode(flags: number): number {
  return flags & O_ACCMODE;
}

export function fdBlocker(file: OpenFile, reason: string, remedy: string): Blocker {
  return { object: `fd ${file.fd}`, place: file.link, reason, remedy };
}

/** The description `objref` is a file opened by its path. */
export function restartByPath(rebuild: Rebuild, objref: number, name: PathName, flags: number, offset: bigint | undefined): void {
  rebuild.descriptors.add(objref, () => {
    const fd = openLocally(toPath(name), reopenFlags(flags));
    if (offset !== undefined) seekTo(fd, offset, name.path);
    return fd;
  });
}

/** Sets the position; bigger than 2^63 in /dev/mem and its like. */
export function seekTo(fd: number, offset: bigint, path: string): void {
  const SEEK_SET = 0;
  if (offset !== 0n) localCall(`set the position in ${path}`, 'lseek', [fd, BigInt.asIntN(64, offset), SEEK_SET]);
}
