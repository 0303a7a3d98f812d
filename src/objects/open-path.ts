/** Descriptors that only name a place in the file system. Source: man 2 open (O_PATH). */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { openLocally } from './local-descriptors.ts';
import { fdBlocker, fileType, reopenFlags, type OpenFileKind } from './open-file.ts';
import { pathFields, pathName, toPath, type PathName } from './path-name.ts';
import { lstatPath } from './path-stat.ts';
import { hostPath, imagePath } from './proc-path.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenPath extends PathName {
  readonly flags: number;
  /** S_IFMT bits: what kind of file is there. */
  readonly fileType: number;
}

const record: RecordKind<OpenPath> = defineKind<OpenPath>({
  tag: 0xa3,
  name: 'open-path',
  parents: ['files'],
  title: (value) => value.path,
  schema: s.record({ ...pathFields, flags: s.hex(s.uint(0xffff_ffff)), fileType: s.hex(s.uint(0xffff)) }),
});

const O_PATH = 0o10000000;
const O_NOFOLLOW = 0o400000;
const S_IFMT = 0o170000;

export const openPath: ObjectKind<OpenPath> & OpenFileKind = {
  record,
  title: 'Descriptor that names a place (O_PATH)',
  carried: 'Path of a file of any kind, a symbolic link itself too.',
  refused: 'Places without a name: deleted files, pipes, sockets.',

  recognise: ({ info }) => (info.flags & O_PATH) !== 0,

  collect(file, objref, _table, { pid }) {
    const name = pathName(file.linkBytes ?? file.link);
    const there = file.link.startsWith('/') ? lstatPath(toPath(name)) : undefined;
    if (there === undefined || there.ino !== file.stat.ino || Number(there.dev) !== file.stat.dev)
      return fdBlocker(file, 'it was opened with O_PATH and its path is gone', 'Let the program close it');
    const value = { ...imagePath(name, pid), flags: file.info.flags, fileType: file.stat.mode & S_IFMT };
    return [node(record, value, { objref })];
  },

  restart(value, rebuild, { objref }) {
    const name = hostPath(value, rebuild.tracee.tid);
    rebuild.descriptors.add(objref, () => {
      const there = lstatPath(toPath(name));
      if (there === undefined || (Number(there.mode) & S_IFMT) !== value.fileType)
        throw new StasisError('RESTART_FAILED', `Cannot name ${value.path}: nothing of that kind is there`, { phase: 'restore' });
      const isLink = fileType.isSymbolicLink({ mode: value.fileType });
      return openLocally(toPath(name), reopenFlags(value.flags) | (isLink ? O_NOFOLLOW : 0));
    });
  },
};
