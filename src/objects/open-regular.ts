/** Open regular files, by path: their content stays in the file system. Source: man 2 open, fs/proc/fd.c. */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { openLocally } from './local-descriptors.ts';
import { fdBlocker, fileType, reopenFlags, seekTo, type OpenFileKind } from './open-file.ts';
import { pathFields, pathName, toPath, type PathName } from './path-name.ts';
import { statPath } from './path-stat.ts';
import { hostPath, imagePath } from './proc-path.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenRegular extends PathName {
  /** O_* as open takes them. */
  readonly flags: number;
  /** Bytes. */
  readonly offset: bigint;
  /** Bytes, at the checkpoint. */
  readonly size: bigint;
  /** Tells whether it still is the same file; absent where a file system makes its files anew each time (/proc, /sys). */
  readonly identity?: Identity | undefined;
}

interface Identity {
  readonly inode: bigint;
  /** Nanoseconds since 1970. */
  readonly modified: bigint;
  /** When the inode was made; 0 where the file system does not tell. */
  readonly created: bigint;
}

const record: RecordKind<OpenRegular> = defineKind<OpenRegular>({
  tag: 0x51,
  name: 'open-regular',
  parents: ['files'],
  title: (value) => `${value.path} at ${value.offset}`,
  schema: s.record({
    ...pathFields,
    flags: s.hex(s.uint(0xffff_ffff)),
    offset: s.u64(),
    size: s.u64(),
    identity: s.optional(s.record({ inode: s.u64(), modified: s.i64(), created: s.i64() })),
  }),
});

const O_TMPFILE_O_DIRECTORY = 0o20200000; // a file that was opened by O_TMPFILE and got a name later

export const openRegular: ObjectKind<OpenRegular> & OpenFileKind = {
  record,
  title: 'Open regular file',
  carried:
    'Path (also one that is not UTF-8, in /proc/self, renamed, on tmpfs, hugetlbfs or overlayfs), position, status flags, sharing between descriptors. The content stays in the file system. It may have grown or changed in place until the restart.',
  refused:
    'Files whose name is gone while they have another one. At restart: files that are gone, replaced, or shorter than the position.',

  recognise: ({ stat, link }) => fileType.isRegular(stat) && link.startsWith('/'),

  collect(file, objref, _table, { pid }) {
    const { stat, info } = file;
    const name = pathName(file.linkBytes ?? file.link);
    const there = statPath(toPath(name));
    if (there === undefined || there.ino !== stat.ino || Number(there.dev) !== stat.dev) {
      return stat.nlink > 0 && file.link.endsWith(' (deleted)')
        ? fdBlocker(file, 'the name by which it was opened is gone, and the file has another one', 'Link it to that path again')
        : fdBlocker(file, 'another file has its path here, or its directory is closed to you', 'Put it back under its path');
    }
    const { size, ino: inode, mtimeNs: modified, birthtimeNs: created } = stat;
    const value = { ...imagePath(name, pid), flags: info.flags, offset: info.pos, size };
    const isMadeByKernel = /^\/(proc|sys)\//.test(name.path);
    return [node(record, isMadeByKernel ? value : { ...value, identity: { inode, modified, created } }, { objref })];
  },

  restart(value, rebuild, { objref }) {
    const name = hostPath(value, rebuild.tracee.tid);
    rebuild.descriptors.add(objref, () => {
      assertUsable(value, name, rebuild.acceptChangedFiles);
      const fd = openLocally(toPath(name), reopenFlags(value.flags) & ~O_TMPFILE_O_DIRECTORY);
      seekTo(fd, value.offset, value.path);
      return fd;
    });
  },
};

const O_APPEND = 0o2000;

/**
 * What the program could have met had it gone on is fine: a file that others wrote to meanwhile. Another file under the
 * path is not, unless it looks like a copy, or is only appended to. None may be shorter than the position.
 */
function assertUsable(value: OpenRegular, name: PathName, acceptChanged: boolean): void {
  const stat = statPath(toPath(name));
  const refuse = (problem: string, hint: string): never => {
    throw new StasisError('RESTART_FAILED', `Cannot open ${value.path}: ${problem}`, { phase: 'restore', hint });
  };
  if (stat?.isFile() !== true) return refuse('it does not exist here (any more)', 'Put the file back, then restart again.');
  const { identity } = value;
  if (acceptChanged) return;
  const hint = 'Put the file back, or restart with --accept-changed-files.';
  const isSame = identity === undefined || (stat.ino === identity.inode && stat.birthtimeNs === identity.created);
  const isCopy = stat.size === value.size && stat.mtimeNs === identity?.modified;
  const needed = value.offset < value.size ? value.offset : value.size;
  if (stat.size < needed) refuse(`it is shorter than the position ${needed}`, hint);
  const isLog = (value.flags & O_APPEND) !== 0;
  if (!isSame && !isCopy && !isLog) refuse('another file has this path now', hint);
}
