/** How a restart makes shared memory: an open file of the engine's own, its content, and at last its attributes. */
import { closeSync, constants, fchmodSync, fchownSync, fstatSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { codeOf } from '../linux/node-error.ts';
import { timespec } from '../linux/abi/time.ts';
import { LocalMemory, mustSyscall, syscall } from '../linux/ffi.ts';
import { pageSize } from '../linux/pagemap.ts';
import type { Rebuild } from './object.ts';
import type { RestartedMemory, SharedMemory } from './shared-memory.ts';

const F_ADD_SEALS = 1033;
/** F_SEAL_FUTURE_WRITE lets writable mappings be that exist before it. Source: man 2 F_GET_SEALS. */
const SEAL = { SEAL: 1, FUTURE_WRITE: 0x10 } as const;

export function createMemory(value: SharedMemory, rebuild: Rebuild): number {
  switch (value.backing) {
    case 'anonymous':
      return createAnonymous(value) ?? createMemfd({ ...value, name: anonymousName });
    case 'memfd':
      return createMemfd(value);
    case 'file':
      return createNameless(value.name) ?? createElsewhere(value, rebuild);
  }
}

/** Without privilege MAP_SHARED | MAP_ANONYMOUS can only be handed on as a memfd. Its name tells later checkpoints. */
export const anonymousName = 'dev/zero';

/** The kernel's own way, which shows as /dev/zero; opened through map_files. Undefined without CAP_CHECKPOINT_RESTORE. */
function createAnonymous({ size, hugePage }: SharedMemory): number | undefined {
  const MAP_SHARED_ANONYMOUS_NORESERVE = 0x4021;
  const MAP_HUGETLB = hugePage === undefined ? 0 : 0x40000 | (Math.log2(hugePage) << 26);
  if (size === 0n) return undefined;
  const flags = MAP_SHARED_ANONYMOUS_NORESERVE | MAP_HUGETLB;
  const at = BigInt(mustSyscall('mmap', 'Cannot make shared memory', 0, size, 3, flags, -1, 0));
  try {
    const unit = BigInt(hugePage ?? pageSize);
    const end = at + ((size + unit - 1n) / unit) * unit;
    return openSync(`/proc/self/map_files/${at.toString(16)}-${end.toString(16)}`, constants.O_RDWR);
  } catch (error) {
    if (['EPERM', 'ENOENT'].includes(codeOf(error) ?? '')) return undefined;
    throw error;
  } finally {
    syscall('munmap', at, size);
  }
}

function createMemfd({ name, seals, hugePage }: SharedMemory): number {
  const MFD_CLOEXEC = 1;
  const MFD_ALLOW_SEALING = 2;
  const MFD_HUGETLB = 4;
  const huge = hugePage === undefined ? 0 : MFD_HUGETLB | (Math.log2(hugePage) << 26);
  const sealing = seals === SEAL.SEAL ? 0 : MFD_ALLOW_SEALING;
  const memory = LocalMemory.scratch('memfd', 8192);
  memory.bytes.set(Buffer.from(`${name}\0`));
  return mustSyscall('memfd_create', `Cannot make shared memory ${name}`, memory.address, MFD_CLOEXEC | sealing | huge);
}

/**
 * As the file was: without a name, in its directory or the nearest one above that is there. Not O_EXCL: a program may give a
 * name to what it had opened so. Undefined where that directory is closed to us, or its file system knows no such files.
 */
function createNameless(path: string): number | undefined {
  const O_TMPFILE = 0o20200000;
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    try {
      return openSync(directory, O_TMPFILE | constants.O_RDWR, 0o700);
    } catch (error) {
      const code = codeOf(error);
      if (code === undefined) throw error;
      if (code !== 'ENOENT' || directory === '/') return undefined;
    }
  }
}

function createElsewhere(value: SharedMemory, rebuild: Rebuild): number {
  rebuild.notes.push(`The deleted file ${value.name} was made again in memory: its directory takes no file without a name`);
  return createMemfd({ ...value, name: value.name.slice(-200), seals: SEAL.SEAL });
}

/** Its attributes, when the content is there. */
export function completeMemory(memory: RestartedMemory, rebuild: Rebuild): void {
  const { fd, uid, gid, mode, seals, backing } = memory;
  const stat = fstatSync(fd);
  if (stat.uid !== uid || stat.gid !== gid) {
    try {
      fchownSync(fd, uid, gid);
    } catch {
      rebuild.notes.push(`Shared memory ${memory.name} belongs to you now, not to ${uid}:${gid}`);
    }
  }
  if (backing === 'file') withoutWriting(fd); // so that a task can execute it (man 2 execve: ETXTBSY)
  // Until then its owner can open it, whatever the mode says.
  rebuild.finals.lastCalls.push(() => {
    if ((stat.mode & 0o7777) !== mode) fchmodSync(fd, mode);
    if (memory.modified !== undefined) setModified(fd, memory.modified);
  });
  if (backing !== 'memfd' || seals === 0 || seals === SEAL.SEAL) return;
  const early = (seals & SEAL.FUTURE_WRITE) === 0 ? seals : 0;
  if (early !== 0) addSeals(fd, early);
  // Writable mappings may exist that a new one may not join any more: this seal comes after them.
  else rebuild.finals.calls.push(() => addSeals(fd, seals));
}

/** `modified`: nanoseconds since 1970. */
export function setModified(fd: number, modified: bigint): void {
  const UTIME_OMIT = 0x3fff_fffen;
  const memory = LocalMemory.scratch('times', 4096);
  const billion = 1_000_000_000n;
  const nanoseconds = ((modified % billion) + billion) % billion;
  timespec.write(memory.view, { tv_sec: 0n, tv_nsec: UTIME_OMIT });
  timespec.write(memory.view, { tv_sec: (modified - nanoseconds) / billion, tv_nsec: nanoseconds }, timespec.size);
  mustSyscall('utimensat', 'Cannot set the time of a file', fd, 0, memory.address, 0);
}

/** The descriptor stands for an opening for reading from now on. */
function withoutWriting(fd: number): void {
  const O_CLOEXEC = 0o2000000;
  const reading = openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY);
  mustSyscall('dup3', 'Cannot close a file for writing', reading, fd, O_CLOEXEC);
  closeSync(reading);
}

function addSeals(fd: number, seals: number): void {
  mustSyscall('fcntl', 'Cannot seal a memfd', fd, F_ADD_SEALS, seals);
}
type Store = NonNullable<NonNullable<Rebuild['finals']['vma']>['store']>;

export function fileStore(fd: number, size: bigint): Store {
  return (ranges, data) => {
    let from = 0;
    for (const { address, length } of ranges) {
      // What the last page holds behind the end of the file is zero, and must not make it longer.
      const wanted = Math.min(length, Number(size - address));
      for (let done = 0; done < wanted;) done += writeSync(fd, data, from + done, wanted - done, Number(address) + done);
      from += length;
    }
  };
}

/** Files of huge pages cannot be written to, only mapped. Source: fs/hugetlbfs/inode.c. */
export function hugeStore(fd: number, hugePage: number): Store {
  return (ranges, data) => {
    let from = 0;
    for (const { address, length } of ranges) {
      const ahead = Number(address) % hugePage;
      const window = LocalMemory.map(fd, Number(address) - ahead, Math.ceil((ahead + length) / hugePage) * hugePage);
      window.bytes.set(data.subarray(from, from + length), ahead);
      window.free();
      from += length;
    }
  };
}
