/** Private mappings of files: program text and data, libraries. Only pages that differ from the file are stored. */
import { closeSync, openSync } from 'node:fs';
import { syscall } from '../linux/ffi.ts';
import { pageSize } from '../linux/pagemap.ts';
import { readMaps } from '../linux/proc/maps.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s, type Schema } from '../image/schema.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import type { Blocker } from '../errors.ts';
import { assertUnchanged, fileOf, identify, referToFile, type FileIdentity } from './file.ts';
import { node, type ObjectKind, type Rebuild } from './object.ts';
import {
  closeMapping, isBlocker, MAP, mappingBase, mappingFields, restartMapping, vmaBlocker, type MappingBase, type MappingFields, type VmaKind,
} from './vma.ts'; // prettier-ignore

export interface FileMapping extends MappingBase {
  /** objref of the file. */
  readonly file: number;
  /** Bytes into the file. */
  readonly offset: bigint;
}

export const fileMappingFields: MappingFields & { readonly file: Schema<number>; readonly offset: Schema<bigint> } = {
  ...mappingFields,
  file: s.objref('file'),
  offset: s.hex(s.u64()),
};

const record: RecordKind<FileMapping> = defineKind<FileMapping>({
  tag: 0x22,
  name: 'vma-private-file',
  container: true,
  parents: ['mm'],
  schema: s.record(fileMappingFields),
});

export const vmaPrivateFile: ObjectKind<FileMapping> & VmaKind = {
  record,
  title: 'Private file mapping',
  carried: 'File, offset, protection, advice; pages that differ from the file. The file must be unchanged at restart.',
  refused: 'Files that are not regular; files that are not under their path and not deleted.',

  recognise: (vma) => !vma.shared && vma.path.startsWith('/') && vma.path !== '/dev/zero',

  collect(vma, collection, runs) {
    const base = mappingBase(vma, runs);
    if (isBlocker(base)) return base;
    const mapped = mappedFile(vma);
    if (isBlocker(mapped)) return mapped;
    const { objref, before } = referToFile(collection.objects, mapped);
    return [...before, node(record, { ...base, file: objref, offset: vma.offset }, { children: [], pages: runs })];
  },

  restart: (value, rebuild) => restartFileMapping(value, rebuild, MAP.PRIVATE, 0),
  close: closeMapping,
};

/** The file behind a mapping, if it still is the one under its path. */
export function mappedFile(vma: SmapsVma): FileIdentity | Blocker {
  const remedy = 'Start the program again with the file in place, then checkpoint it.';
  if (vma.deleted) return vmaBlocker(vma, 'the mapped file was deleted', remedy);
  const identity = cachedIdentity(vma.path);
  if (identity === undefined) return vmaBlocker(vma, 'it maps something that is not a regular file', remedy);
  if (identity.inode !== vma.inode && !isMappedAs(vma))
    return vmaBlocker(vma, 'another file now has the path of the mapped one', remedy);
  return identity;
}

/**
 * overlayfs and btrfs show other numbers in maps than to stat: what the path is shown as when we map it ourselves tells.
 * Source: fs/overlayfs/inode.c, fs/proc/task_mmu.c (show_map_vma).
 */
function isMappedAs({ path, inode, deviceMajor, deviceMinor }: SmapsVma): boolean {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return false;
  }
  const at = syscall('mmap', 0, pageSize, 1, MAP.PRIVATE, fd, 0);
  closeSync(fd);
  if (at < 0) return false;
  try {
    const own = readMaps(process.pid).find(({ start }) => start === BigInt(at));
    return own?.inode === inode && own.deviceMajor === deviceMajor && own.deviceMinor === deviceMinor;
  } finally {
    syscall('munmap', at, pageSize);
  }
}

let lastIdentity: { path: string; identity: FileIdentity | undefined } | undefined;

/** Mappings of one file come one after the other. */
function cachedIdentity(path: string): FileIdentity | undefined {
  if (lastIdentity?.path !== path) lastIdentity = { path, identity: identify(path) };
  return lastIdentity.identity;
}

/** Opens the file in the task, maps it, closes it. The task has no other descriptors than 0, 1 and 2 open low. */
export function restartFileMapping(value: FileMapping, rebuild: Rebuild, flags: number, openFlags: number): void {
  const identity = fileOf(rebuild, value.file);
  if (!rebuild.checkedFiles.has(identity.path)) {
    assertUnchanged(identity, rebuild.acceptChangedFiles);
    rebuild.checkedFiles.add(identity.path);
  }
  const AT_FDCWD = -100;
  rebuild.room(12, identity.path.length * 3 + 64);
  const fd = rebuild.freeFd;
  rebuild.batch.add(`open ${identity.path}`, 'openat', [AT_FDCWD, rebuild.batch.text(identity.path), openFlags, 0]);
  restartMapping(value, rebuild, flags, fd, value.offset);
  rebuild.batch.add('close a mapped file', 'close', [fd]);
}
