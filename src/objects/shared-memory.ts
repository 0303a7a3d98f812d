/**
 * Memory that is shared: one object with its content, however many mappings, processes and descriptors refer to it. MAP_SHARED
 * without a file, memfd, and files that were deleted while they are mapped. The restarting engine makes it again, itself, as
 * an open file, from which it is mapped and handed on. System V segments are a kind of their own (shared-segment.ts).
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { dataPages } from '../linux/extents.ts';
import { LocalMemory, mustSyscall } from '../linux/ffi.ts';
import { pageSize, type PageRuns } from '../linux/pagemap.ts';
import { rangesOf } from '../linux/process-memory.ts';
import { StasisError } from '../errors.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type ReadPages, type Rebuild } from './object.ts';
import { completeMemory, createMemory, fileStore, hugeStore } from './shared-memory-making.ts';

export interface SharedMemory {
  /** How the program came by it: MAP_SHARED | MAP_ANONYMOUS, memfd_create, or a file that has been deleted since. */
  readonly backing: 'anonymous' | 'memfd' | 'file';
  /** The name given to memfd_create, or the path that the file had. */
  readonly name: string;
  /** Bytes. */
  readonly size: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Nanoseconds since 1970; absent where only a mapping could be seen. */
  readonly modified?: bigint | undefined;
  /** F_SEAL_* of a memfd. */
  readonly seals: number;
  /** Bytes of a page, when they are huge ones. */
  readonly hugePage?: number | undefined;
}

const record: RecordKind<SharedMemory> = defineKind<SharedMemory>({
  tag: 0xa0,
  name: 'shared-memory',
  container: true,
  parents: ['task', 'mm', 'files'],
  title: ({ backing, name, size }) => `${backing} ${name} (${size} bytes)`,
  schema: s.record({
    backing: s.oneOf('anonymous', 'memfd', 'file'),
    name: s.text(4096),
    size: s.u64(),
    mode: s.uint(0o7777),
    uid: s.uint(0xffff_ffff),
    gid: s.uint(0xffff_ffff),
    modified: s.optional(s.i64()),
    seals: s.hex(s.uint(0xffff)),
    hugePage: s.optional(s.uint(1 << 30)),
  }),
});

const F_GET_SEALS = 1034;

/** What tells one object from another: the device and inode that mappings and descriptors of it show. */
export function memoryKey(device: string, inode: bigint): string {
  return `memory ${device} ${inode}`;
}

/** Where the content of the memory is, and what it is called. */
export interface MemoryOrigin extends Pick<SharedMemory, 'backing' | 'name'> {
  /** A path of /proc that opens the very inode: in map_files or fd of a process. */
  readonly path: string;
}

/** Refers to the memory, describing it first if it is new to the image. Throws what opening `origin.path` throws. */
export function referToMemory(
  { objects }: Collection,
  key: string,
  origin: MemoryOrigin,
): { objref: number; before: ImageNode[] } {
  return objects.refer(key, (objref) => {
    const { backing, name, path } = origin;
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
    try {
      const stat = fstatSync(fd, { bigint: true });
      const value: SharedMemory = {
        backing,
        name,
        size: stat.size,
        mode: Number(stat.mode) & 0o7777,
        uid: Number(stat.uid),
        gid: Number(stat.gid),
        modified: stat.mtimeNs,
        seals: backing === 'memfd' ? mustSyscall('fcntl', 'Cannot read the seals of a memfd', fd, F_GET_SEALS) : 0,
        ...(isHuge(fd) && { hugePage: Number(stat.blksize) }),
      };
      const readPages: ReadPages = (runs, into) => readFromFile(path, runs, into);
      return node(record, value, { objref, children: [], pages: dataPages(fd, stat.size), readPages });
    } finally {
      closeSync(fd);
    }
  });
}

/** Refers to memory that cannot be opened: its content is read through a mapping of it. */
export function referToMappedMemory(
  { objects }: Collection,
  key: string,
  value: SharedMemory,
  pages: PageRuns,
  readPages: ReadPages,
): { objref: number; before: ImageNode[] } {
  return objects.refer(key, (objref) => node(record, value, { objref, children: [], pages, readPages }));
}

/** Source: man 2 statfs, linux/magic.h. */
function isHuge(fd: number): boolean {
  const HUGETLBFS_MAGIC = 0x958458f6n;
  const memory = LocalMemory.scratch('statfs', 256);
  mustSyscall('fstatfs', 'Cannot look at shared memory', fd, memory.address);
  return memory.view.getBigInt64(0, true) === HUGETLBFS_MAGIC;
}

/** A page that lies behind the end of the file in part, or whose file has shrunk, ends in zeros. */
export function readFromFile(path: string, runs: PageRuns, into: LocalMemory): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
  try {
    let at = 0;
    for (const { address, length } of rangesOf(runs)) {
      const end = at + length;
      for (let got = -1; at < end && got !== 0; at += got)
        got = readSync(fd, into.bytes, at, end - at, Number(address) + length - (end - at));
      into.bytes.fill(0, at, end);
      at = end;
    }
  } finally {
    closeSync(fd);
  }
}

/** What a mapping or a descriptor finds in {@link Rebuild.described}. */
export interface RestartedMemory extends SharedMemory {
  /** Ours, open for reading and writing. */
  readonly fd: number;
}

export const sharedMemory: ObjectKind<SharedMemory> = {
  record,
  title: 'Shared memory',
  carried:
    'MAP_SHARED without a file, memfd with its seals, files deleted while they are mapped or open: size, mode, owner, all pages that are not zero; shared again between mappings, descriptors and processes.',
  refused: 'Deleted files, where neither a descriptor nor CAP_CHECKPOINT_RESTORE gives access to them.',

  restart(value, rebuild, { objref }) {
    const fd = createMemory(value, rebuild);
    rebuild.keep({ [Symbol.dispose]: () => closeSync(fd) });
    ftruncateSync(fd, Number(value.size));
    const memory: RestartedMemory = { ...value, fd };
    rebuild.described.set(objref, memory);
    const pages = (value.size + BigInt(pageSize) - 1n) / BigInt(pageSize);
    rebuild.finals.vma = {
      spans: [{ start: 0n, end: pages * BigInt(pageSize) }],
      after: [() => completeMemory(memory, rebuild)],
      store: value.hugePage === undefined ? fileStore(fd, value.size) : hugeStore(fd, value.hugePage),
    };
  },

  close(rebuild) {
    for (const step of rebuild.finals.vma?.after ?? []) step();
    delete rebuild.finals.vma;
  },
};

/** The memory that a record refers to. */
export function memoryOf(rebuild: Rebuild, objref: number): RestartedMemory {
  const memory = rebuild.described.get(objref);
  if (memory === undefined) throw new StasisError('IMAGE', `The image refers to object ${objref} before it describes it`);
  return memory as RestartedMemory;
}
