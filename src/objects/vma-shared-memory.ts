/** Mappings of shared memory that has no name in any file system, or none any more; shared ones, and private ones of a memfd. */
import { accessSync, constants } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { residentPages } from '../linux/mincore.ts';
import { pageSize, type PageRuns } from '../linux/pagemap.ts';
import { MemoryFile, rangesOf } from '../linux/process-memory.ts';
import { major, minor, readFds, readFdStat } from '../linux/proc/fds.ts';
import { statProcIfPresent } from '../linux/proc/read.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import type { Blocker } from '../errors.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type ReadPages, type Rebuild } from './object.ts';
import { anonymousName } from './shared-memory-making.ts';
import { memoryKey, memoryOf, referToMappedMemory, referToMemory, type SharedMemory } from './shared-memory.ts';
import { closeMapping, isBlocker, MAP, mappingBase, mappingFields, restartMapping, vmaBlocker, type MappingBase, type VmaKind } from './vma.ts'; // prettier-ignore

export interface SharedMemoryMapping extends MappingBase {
  /** objref of the shared memory. */
  readonly memory: number;
  /** Bytes into it. */
  readonly offset: bigint;
  /** It was mapped from a descriptor open for writing, whatever the protection is now. */
  readonly writable: boolean;
  /** MAP_PRIVATE: the pages that it has of its own are stored with it. */
  readonly copies: boolean;
  readonly noReserve: boolean;
}

const record: RecordKind<SharedMemoryMapping> = defineKind<SharedMemoryMapping>({
  tag: 0x25,
  name: 'vma-shared-memory',
  container: true,
  parents: ['mm'],
  schema: s.record({
    ...mappingFields,
    memory: s.objref('shared-memory'),
    offset: s.hex(s.u64()),
    writable: s.bool(),
    copies: s.bool(),
    noReserve: s.bool(),
  }),
});

const memfdPrefix = '/memfd:';
const hugeAnonymous = '/anon_hugepage';

export const vmaSharedMemory: ObjectKind<SharedMemoryMapping> & VmaKind = {
  record,
  title: 'Mapping of shared memory',
  carried: 'Which memory, shared or private, offset, protection, advice, mlock, huge pages.',
  refused: '',

  recognise: ({ shared, deleted, path }) =>
    deleted && path.startsWith('/') && !/^\/(SYSV|\[|drm |dmabuf)/.test(path) && (shared || path !== '/dev/zero'),

  collect(vma, collection, runs) {
    if (vma.path === '/secretmem')
      return vmaBlocker(vma, 'it is secret memory (memfd_secret): nobody else can read it', 'Run the program without it.');
    const base = mappingBase(vma, runs, new Set(['ht', 'de']));
    if (isBlocker(base)) return base;
    const memory = refer(vma, collection);
    if (isBlocker(memory)) return memory;
    const { vmFlags, offset } = vma;
    const value = {
      ...base,
      memory: memory.objref,
      offset,
      writable: vmFlags.has('sh'),
      copies: !vma.shared,
      noReserve: vmFlags.has('nr'),
    };
    return [...memory.before, node(record, value, { children: [], pages: runs })];
  },

  restart(value, rebuild) {
    const { fd } = memoryOf(rebuild, value.memory);
    mapLocal(value, rebuild, fd);
  },

  close: closeMapping,
};

/** The task opens the file behind our descriptor anew, so that it is mapped with no more rights than before. */
function mapLocal(value: SharedMemoryMapping, rebuild: Rebuild, local: number): void {
  const O_RDWR = 2;
  const AT_FDCWD = -100;
  rebuild.room(12, 128);
  const { batch, freeFd } = rebuild;
  const path = batch.text(`/proc/${process.pid}/fd/${local}`);
  batch.add('open shared memory', 'openat', [AT_FDCWD, path, value.writable ? O_RDWR : 0, 0]);
  restartMapping(
    value,
    rebuild,
    (value.copies ? MAP.PRIVATE : MAP.SHARED) | (value.noReserve ? MAP.NORESERVE : 0),
    freeFd,
    value.offset,
  );
  batch.add('close shared memory', 'close', [freeFd]);
}

/** The memory behind a mapping: opened where that can be, else read through the mapping. */
function refer(vma: SmapsVma, collection: Collection): { objref: number; before: ImageNode[] } | Blocker {
  const { inode, path } = vma;
  const device = `${vma.deviceMajor}:${vma.deviceMinor}`;
  const key = memoryKey(device, inode);
  const known = collection.objects.find(key);
  if (known !== undefined) return { objref: known, before: [] };
  const { backing, name } = originOf(path);
  const place = openable(collection.pid, vma, device);
  if (place !== undefined) return referToMemory(collection, key, { backing, name, path: place });
  const content = backing === 'file' || vma.vmFlags.has('ht') ? undefined : throughMappings(vma, collection);
  if (content === undefined)
    return vmaBlocker(
      vma,
      'its content can be read only as root or with CAP_CHECKPOINT_RESTORE, since the program has no descriptor of it',
      'Run stasis as root, or let the program keep a descriptor of it open.',
    );
  const { pages, end, read } = content;
  const value: SharedMemory = {
    backing,
    name,
    size: end,
    mode: 0o777,
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
    seals: 1,
  };
  return referToMappedMemory(collection, key, value, pages, read);
}

function originOf(path: string): Pick<SharedMemory, 'backing' | 'name'> {
  if (path === '/dev/zero' || path === memfdPrefix + anonymousName || path === hugeAnonymous)
    return { backing: 'anonymous', name: '' };
  if (path.startsWith(memfdPrefix)) return { backing: 'memfd', name: path.slice(memfdPrefix.length) };
  return { backing: 'file', name: path };
}

/** Source: man 5 proc_pid_map_files: to follow its links takes CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE. */
export function openable(pid: number, { start, end, inode, deleted, path }: SmapsVma, device: string): string | undefined {
  const mapped = `/proc/${pid}/map_files/${start.toString(16)}-${end.toString(16)}`;
  if (canRead(mapped)) return mapped;
  const program = statProcIfPresent(pid, 'exe'); // the one link of this kind that needs no privilege
  if (program?.ino === inode && `${major(Number(program.dev))}:${minor(Number(program.dev))}` === device)
    return `/proc/${pid}/exe`;
  for (const { fd, link } of readFds(pid)) {
    if (link !== (deleted ? `${path} (deleted)` : path)) continue;
    const stat = readFdStat(pid, fd);
    if (stat === undefined || stat.ino !== inode || `${major(stat.dev)}:${minor(stat.dev)}` !== device) continue;
    const open = `/proc/${pid}/fd/${fd}`;
    if (canRead(open)) return open;
  }
  return undefined;
}

function canRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

interface Piece {
  /** Page numbers. */
  readonly inMemory: number;
  readonly inFile: number;
  readonly count: number;
}

export interface Content {
  readonly pages: PageRuns;
  /** Bytes. */
  readonly end: bigint;
  readonly read: ReadPages;
}

/**
 * What the mappings of one process show of the memory. mincore tells which pages exist, so that none is made by reading it;
 * what is swapped out does not count for it, then all is read.
 */
export function throughMappings(vma: SmapsVma, { vmas, injector, pid }: Collection): Content | undefined {
  // Of private mappings nobody can tell which pages are still those of the memory.
  const same = vmas.filter(({ inode, deviceMajor, deviceMinor, shared }) =>
    shared && inode === vma.inode && deviceMajor === vma.deviceMajor && deviceMinor === vma.deviceMinor); // prettier-ignore
  const pieces: Piece[] = [];
  const pages: PageRuns = [];
  let covered = 0;
  for (const { start, end, offset, sizes } of same.toSorted((a, b) => Number(a.offset - b.offset))) {
    const inFile = Math.max(Number(offset) / pageSize, covered);
    const last = (Number(offset) + Number(end - start)) / pageSize;
    if (last <= inFile) continue;
    covered = last;
    const piece = { inMemory: Number(start) / pageSize + inFile - Number(offset) / pageSize, inFile, count: last - inFile };
    pieces.push(piece);
    if (sizes.Swap > 0) pages.push(piece.inFile, piece.count);
    else existing(injector, piece, pages);
  }
  if (!vma.shared && pieces.every(({ inFile, count }) => !within(vma, inFile, count))) return undefined;
  const read: ReadPages = (runs, into) => {
    using memory = new MemoryFile(pid);
    let at = 0;
    for (const { address, length } of rangesOf(translate(runs, pieces))) {
      memory.readInto(into.bytes.subarray(at, at + length), address);
      at += length;
    }
  };
  return { pages, end: BigInt(covered * pageSize), read };
}

function within({ start, end, offset }: SmapsVma, first: number, count: number): boolean {
  const page = Number(offset) / pageSize;
  return first <= page && page + Number(end - start) / pageSize <= first + count;
}

function existing(injector: Collection['injector'], { inMemory, inFile, count }: Piece, pages: PageRuns): void {
  const atOnce = 4096; // a byte of the scratch page each
  for (let done = 0; done < count; done += atOnce) {
    const length = Math.min(atOnce, count - done);
    injector.mustCall('mincore', [(inMemory + done) * pageSize, length * pageSize, injector.scratch]);
    residentPages(pages, new Uint8Array(injector.readScratch(length).buffer), inFile + done);
  }
}

/** Pages of the file as pages of the process. */
function translate(runs: PageRuns, pieces: readonly Piece[]): PageRuns {
  const translated: PageRuns = [];
  for (let index = 0; index < runs.length; index += 2) {
    let page = runs[index] ?? 0;
    for (let left = runs[index + 1] ?? 0; left > 0;) {
      const piece = pieces.find(({ inFile, count }) => page >= inFile && page < inFile + count);
      if (piece === undefined) throw new RangeError(`no mapping has page ${page}`);
      const taken = Math.min(left, piece.inFile + piece.count - page);
      translated.push(piece.inMemory + page - piece.inFile, taken);
      page += taken;
      left -= taken;
    }
  }
  return translated;
}
