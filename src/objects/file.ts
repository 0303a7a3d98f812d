/** A file by its path, with what tells whether it is still the same file: build id, or size and modification time. */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readBuildId } from '../linux/elf.ts';
import { statPath } from './path-stat.ts';
import type { ImageNode, ObjectKind, Rebuild } from './object.ts';
import type { ObjectTable } from './object-table.ts';

export interface FileIdentity {
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: bigint;
  /** Nanoseconds since 1970. */
  readonly modified: bigint;
  /** GNU build id, hexadecimal; of ELF files that have one. */
  readonly buildId?: string | undefined;
}

const record: RecordKind<FileIdentity> = defineKind<FileIdentity>({
  tag: 0x10,
  name: 'file',
  parents: ['task', 'mm', 'files'],
  title: (value) => value.path,
  schema: s.record({
    path: s.text(4096),
    device: s.u64(),
    inode: s.u64(),
    size: s.u64(),
    modified: s.i64(),
    buildId: s.optional(s.text(128)),
  }),
});

export const file: ObjectKind<FileIdentity> = {
  record,
  title: 'Named file',
  carried: 'Path, device, inode, size, modification time, build id of ELF files. The content stays in the file system.',
  refused: 'Deleted files; files replaced under their path.',
  restart(value, rebuild, { objref }) {
    rebuild.described.set(objref, value);
  },
};

/** The identity of what is at `path` now; undefined when there is no such regular file. */
export function identify(path: string): FileIdentity | undefined {
  const stat = statPath(path);
  if (stat === undefined || !stat.isFile()) return undefined;
  const identity = { path, device: stat.dev, inode: stat.ino, size: stat.size, modified: stat.mtimeNs };
  const buildId = buildIdOf(path);
  return buildId === undefined ? identity : { ...identity, buildId };
}

function buildIdOf(path: string): string | undefined {
  try {
    return readBuildId(path);
  } catch {
    return undefined; // executable but not readable: size and time have to do
  }
}

/** Refers to the file, describing it first if it is new to the image. */
export function referToFile(objects: ObjectTable, identity: FileIdentity): { objref: number; before: ImageNode[] } {
  return objects.refer(`file ${identity.path}`, (objref) => ({ record, value: identity, objref }));
}

/** The file that a record refers to. */
export function fileOf(rebuild: Rebuild, objref: number): FileIdentity {
  const value = rebuild.described.get(objref);
  if (value === undefined) throw new StasisError('IMAGE', `The image refers to object ${objref} before it describes it`);
  const identity = value as FileIdentity;
  rebuild.rollback.commit(identity.path);
  return identity;
}

/** Throws unless the file at the recorded path is the one that was mapped or executed then. */
export function assertUnchanged(recorded: FileIdentity, acceptChanged: boolean): void {
  const now = identify(recorded.path);
  if (now === undefined) throw changed(recorded, 'it does not exist here (any more)', 'Put the file back, then restart again.');
  if (acceptChanged || sameContent(recorded, now)) return;
  const difference =
    recorded.buildId !== undefined && now.buildId !== undefined
      ? 'its build id differs'
      : 'its size or modification time differs';
  throw changed(recorded, difference, 'Put the original file back, or accept the risk with --accept-changed-files.');
}

function sameContent(recorded: FileIdentity, now: FileIdentity): boolean {
  if (recorded.buildId !== undefined && now.buildId !== undefined) return recorded.buildId === now.buildId;
  return recorded.size === now.size && recorded.modified === now.modified;
}

function changed(recorded: FileIdentity, reason: string, hint: string): StasisError {
  return new StasisError('RESTART_FAILED', `Cannot use ${recorded.path}: ${reason}`, { phase: 'restore', hint });
}
