/** Open regular files, by path: their content stays in the file system. Source: man 2 open, fs/proc/fd.c. */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { fdBlocker, fileType, restartByPath, type OpenFileKind } from './open-file.ts';
import { statPath } from './path-stat.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenRegular {
  readonly path: string;
  /** O_* as open takes them. */
  readonly flags: number;
  /** Bytes. */
  readonly offset: bigint;
  /** Bytes, at the checkpoint. */
  readonly size: bigint;
}

const record: RecordKind<OpenRegular> = defineKind<OpenRegular>({
  tag: 0x51,
  name: 'open-regular',
  parents: ['files'],
  title: (value) => `${value.path} at ${value.offset}`,
  schema: s.record({ path: s.text(4096), flags: s.hex(s.uint(0xffff_ffff)), offset: s.u64(), size: s.u64() }),
});

export const openRegular: ObjectKind<OpenRegular> & OpenFileKind = {
  record,
  title: 'Open regular file',
  carried: 'Path, position, status flags, sharing between descriptors. The content stays in the file system.',
  refused: 'Deleted files; files under a lock; at restart: files that are gone or shorter than the position.',

  recognise: ({ stat, link }) => fileType.isRegular(stat) && link.startsWith('/') && !link.startsWith('/memfd:'),

  collect(file, objref) {
    const { stat, link, info } = file;
    const there = statPath(link);
    if (there === undefined || there.ino !== stat.ino) {
      return fdBlocker(
        file,
        'the file was deleted, another one has its path now, or its directory is closed to you',
        'Let the program close it, or put it back under its path',
      );
    }
    if (info.locks.length > 0) return fdBlocker(file, 'the program holds a lock on it', 'Let the program give up the lock first');
    return [node(record, { path: link, flags: info.flags, offset: info.pos, size: stat.size }, { objref })];
  },

  restart(value, rebuild, { objref }) {
    const stat = statPath(value.path);
    const needed = value.offset < value.size ? value.offset : value.size;
    const problem =
      stat?.isFile() !== true
        ? 'it does not exist here (any more)'
        : stat.size < needed
          ? `it is shorter than the position ${needed}`
          : '';
    if (problem !== '') {
      throw new StasisError('RESTART_FAILED', `Cannot open ${value.path}: ${problem}`, {
        phase: 'restore',
        hint: 'Put the file back, then restart again.',
      });
    }
    restartByPath(rebuild, objref, value.path, value.flags, value.offset);
  },
};
