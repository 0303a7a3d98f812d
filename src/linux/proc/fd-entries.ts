/**
 * All of /proc/PID/fd and /proc/PID/fdinfo at once: what {@link readFds}, readFdStat and readFdInfo tell one by one, by plain
 * system calls at a third of their price, because the target stands still meanwhile and may have ten thousand descriptors.
 */
import { isUtf8 } from 'node:buffer';
import { closeSync } from 'node:fs';
import { statx } from '../abi/stat.ts';
import { errno } from '../errno.ts';
import { LocalMemory, syscall } from '../ffi.ts';
import { parseFdInfo, readFdInfo, type FdInfo } from './fdinfo.ts';
import { makeDevice, readFdStat, type FdLink, type FdStat } from './fds.ts';
import { listProc, readProcLinkIfPresent } from './read.ts';

export interface FdEntry extends FdLink {
  readonly stat: FdStat;
  readonly info: FdInfo;
}

const AT_FDCWD = -100;
const O_PATH_CLOEXEC = 0o12000000;
const O_CLOEXEC = 0o2000000;
const STATX_BASIC_STATS_AND_BTIME = 0xfff;

const [nameAt, statAt, textAt, textSize] = [0, 4096, 8192, 1 << 20];

/** In ascending order. One that is closed meanwhile, through another task's shared table, is left out. */
export function readFdEntries(pid: number): FdEntry[] {
  using reader = new Reader(pid);
  return listProc(pid, 'fd')
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((fd) => reader.read(fd) ?? []);
}

class Reader implements Disposable {
  readonly #pid: number;
  readonly #memory = LocalMemory.scratch('fd entries', textAt + textSize);
  readonly #bytes = Buffer.from(this.#memory.bytes.buffer);
  readonly #links: number;
  readonly #infos: number;

  constructor(pid: number) {
    this.#pid = pid;
    this.#links = this.#open(AT_FDCWD, `/proc/${pid}/fd`, O_PATH_CLOEXEC);
    this.#infos = this.#open(AT_FDCWD, `/proc/${pid}/fdinfo`, O_PATH_CLOEXEC);
  }

  read(fd: number): FdEntry | undefined {
    const link = this.#link(fd);
    const stat = link && this.#stat(fd);
    return stat && { ...link, stat, info: this.#info(fd) };
  }

  #open(directory: number, name: string, flags: number): number {
    this.#name(name);
    return syscall('openat', directory, this.#memory.address, flags, 0);
  }

  #name(name: string): void {
    const length = this.#bytes.write(name, nameAt, 'latin1');
    this.#bytes[nameAt + length] = 0;
  }

  #link(fd: number): FdLink | undefined {
    this.#name(String(fd));
    const length = syscall('readlinkat', this.#links, this.#memory.address, this.#memory.address + BigInt(textAt), textSize);
    if (length === -errno.ENOENT) return undefined;
    if (length < 0) {
      const link = readProcLinkIfPresent(this.#pid, `fd/${fd}`); // throws an error that explains, unless it is there now
      return link === undefined ? undefined : { fd, link };
    }
    const bytes = this.#bytes.subarray(textAt, textAt + length);
    const link = bytes.toString();
    return link.includes('\ufffd') && !isUtf8(bytes) ? { fd, link, linkBytes: Uint8Array.from(bytes) } : { fd, link };
  }

  #stat(fd: number): FdStat | undefined {
    const { address, view } = this.#memory;
    const result = syscall('statx', this.#links, address, 0, STATX_BASIC_STATS_AND_BTIME, address + BigInt(statAt));
    if (result < 0) return readFdStat(this.#pid, fd);
    const time = (name: 'stx_mtime' | 'stx_btime'): bigint =>
      statx.get(view, `${name}.tv_sec`, statAt) * 1_000_000_000n + BigInt(statx.get(view, `${name}.tv_nsec`, statAt));
    return {
      dev: makeDevice(statx.get(view, 'stx_dev_major', statAt), statx.get(view, 'stx_dev_minor', statAt)),
      ino: statx.get(view, 'stx_ino', statAt),
      mode: statx.get(view, 'stx_mode', statAt),
      nlink: statx.get(view, 'stx_nlink', statAt),
      rdev: makeDevice(statx.get(view, 'stx_rdev_major', statAt), statx.get(view, 'stx_rdev_minor', statAt)),
      uid: statx.get(view, 'stx_uid', statAt),
      gid: statx.get(view, 'stx_gid', statAt),
      size: statx.get(view, 'stx_size', statAt),
      mtimeNs: time('stx_mtime'),
      birthtimeNs: time('stx_btime'),
    };
  }

  #info(fd: number): FdInfo {
    const file = this.#open(this.#infos, String(fd), O_CLOEXEC);
    if (file < 0) return readFdInfo(this.#pid, fd);
    const { address } = this.#memory;
    let length = 0;
    for (let got = 1; got > 0 && length < textSize; length += got) {
      got = syscall('read', file, address + BigInt(textAt + length), textSize - length);
      if (got < 0 || (got > 0 && got < 512)) {
        length += got; // such a short one is all of it: seq_file fills what it is given, up to a page
        break;
      }
    }
    syscall('close', file);
    return length < 0 || length >= textSize
      ? readFdInfo(this.#pid, fd)
      : parseFdInfo(this.#bytes.toString('latin1', textAt, textAt + length));
  }

  [Symbol.dispose](): void {
    for (const fd of [this.#links, this.#infos]) if (fd >= 0) closeSync(fd);
  }
}
