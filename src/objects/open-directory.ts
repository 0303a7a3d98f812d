/** Open directories. Source: man 2 open, man 2 getdents (positions are cookies of the file system). */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { fdBlocker, fileType, restartByPath, type OpenFileKind } from './open-file.ts';
import { pathFields, pathName, toPath, type PathName } from './path-name.ts';
import { statPath } from './path-stat.ts';
import { hostPath, imagePath } from './proc-path.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenDirectory extends PathName {
  readonly flags: number;
  /** A cookie of the file system. */
  readonly offset: bigint;
}

const record: RecordKind<OpenDirectory> = defineKind<OpenDirectory>({
  tag: 0x52,
  name: 'open-directory',
  parents: ['files'],
  title: (value) => value.path,
  schema: s.record({ ...pathFields, flags: s.hex(s.uint(0xffff_ffff)), offset: s.u64() }),
});

export const openDirectory: ObjectKind<OpenDirectory> & OpenFileKind = {
  record,
  title: 'Open directory',
  carried: 'Path, position, status flags.',
  refused: 'Deleted directories.',

  recognise: ({ stat }) => fileType.isDirectory(stat),

  collect(file, objref, _table, { pid }) {
    const name = pathName(file.linkBytes ?? file.link);
    const there = statPath(toPath(name));
    if (there === undefined || there.ino !== file.stat.ino)
      return fdBlocker(file, 'the directory was deleted', 'Let the program close it');
    return [node(record, { ...imagePath(name, pid), flags: file.info.flags, offset: file.info.pos }, { objref })];
  },

  restart(value, rebuild, { objref }) {
    const name = hostPath(value, rebuild.tracee.tid);
    if (statPath(toPath(name))?.isDirectory() !== true) {
      throw new StasisError('RESTART_FAILED', `Cannot open the directory ${value.path}: it does not exist here`, {
        phase: 'restore',
      });
    }
    restartByPath(rebuild, objref, name, value.flags, value.offset);
  },
};
