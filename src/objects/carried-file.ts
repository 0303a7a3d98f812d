/**
 * Files whose content the user wants in the image: a restart rolls them back to it, whether a process has them open or not.
 * A directory brings all that is in it, and what was added to it since is removed.
 */
import { accessSync, closeSync, constants, openSync, readlinkSync } from 'node:fs';
import type { Blocker } from '../errors.ts';
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { dataPages } from '../linux/extents.ts';
import { pageSize } from '../linux/pagemap.ts';
import { findFiles, type FoundFile } from './glob.ts';
import { node, type ImageNode, type ObjectKind } from './object.ts';
import { readFromFile } from './shared-memory.ts';

export interface CarriedFile {
  readonly path: string;
  readonly type: 'file' | 'directory' | 'link';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: bigint;
  /** Nanoseconds since 1970. */
  readonly modified: bigint;
  /** Of a symbolic link. */
  readonly target?: string | undefined;
}

const record: RecordKind<CarriedFile> = defineKind<CarriedFile>({
  tag: 0xab,
  name: 'carried-file',
  container: true,
  parents: ['task'],
  title: ({ path, type, size }) => `${type} ${path} (${size} bytes)`,
  schema: s.record({
    path: s.text(4096),
    type: s.oneOf('file', 'directory', 'link'),
    mode: s.uint(0o7777),
    uid: s.uint(0xffff_ffff),
    gid: s.uint(0xffff_ffff),
    size: s.u64(),
    modified: s.i64(),
    target: s.optional(s.text(4096)),
  }),
});

/** The files that the patterns name, which are absolute. The processes of the image stand still. */
export function collectCarried(patterns: readonly string[], blockers: Blocker[]): ImageNode[] {
  const files = new Map<string, FoundFile>();
  for (const pattern of patterns) {
    const found = attempt(pattern, blockers);
    if (found?.length === 0) blockers.push(blocker(pattern, 'no file has such a path', 'Correct the pattern'));
    for (const file of found ?? []) files.set(file.path, file);
  }
  // Parents first, so that a restart can make them first.
  const ordered = [...files.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return ordered.flatMap((file) => collectFile(file, blockers) ?? []);
}

function attempt(pattern: string, blockers: Blocker[]): FoundFile[] | undefined {
  try {
    return findFiles(pattern);
  } catch (error) {
    blockers.push(blocker(pattern, String(error), 'Correct the pattern, or run stasis as root'));
    return undefined;
  }
}

function blocker(place: string, reason: string, remedy: string): Blocker {
  return { object: 'file to be carried', place, reason, remedy };
}

/** Sockets, FIFOs and devices have no content: they stay as they are. */
function collectFile({ path, stat }: FoundFile, blockers: Blocker[]): ImageNode | undefined {
  if (path.includes('\ufffd')) {
    blockers.push(blocker(path, 'its path is not UTF-8', 'Give it another name, or leave it out'));
    return undefined;
  }
  const type = stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : stat.isSymbolicLink() ? 'link' : undefined;
  if (type === undefined) return undefined;
  const { size, mtimeNs: modified } = stat;
  const [mode, uid, gid] = [Number(stat.mode) & 0o7777, Number(stat.uid), Number(stat.gid)];
  const value: CarriedFile = { path, type, mode, uid, gid, size, modified };
  if (type === 'link') return node(record, { ...value, target: readlinkSync(path) }, { children: [] });
  if (type === 'directory') return node(record, value, { children: [] });
  try {
    accessSync(path, constants.R_OK);
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const pages = dataPages(fd, size);
      return node(record, value, { children: [], pages, readPages: (runs, into) => readFromFile(path, runs, into) });
    } finally {
      closeSync(fd);
    }
  } catch {
    blockers.push(blocker(path, 'it cannot be read by you', 'Run stasis as root, or leave it out'));
    return undefined;
  }
}

export const carriedFile: ObjectKind<CarriedFile> = {
  record,
  title: 'File with its content (--carry)',
  carried:
    'Files, directories with all that is in them, symbolic links: content with its holes, mode, owner, modification time. A restart rolls them back, and removes what was added to a directory since.',
  refused:
    'Paths that are not UTF-8. Sockets, FIFOs and devices stay as they are. Not carried: extended attributes, hard links between files.',

  restart(value, rebuild) {
    const pages = (value.size + BigInt(pageSize) - 1n) / BigInt(pageSize);
    const end = value.type === 'file' ? pages * BigInt(pageSize) : 0n;
    if (!value.path.startsWith('/')) throw new StasisError('IMAGE', `The carried file ${value.path} has no absolute path`);
    rebuild.finals.vma = { spans: [{ start: 0n, end }], after: [], store: rebuild.rollback.stage(value) };
  },

  close(rebuild) {
    delete rebuild.finals.vma;
  },
};
