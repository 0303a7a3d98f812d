/** Open file descriptions of files without a name: memfds and deleted files. Their content is a shared-memory record. */
import { statfsSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { major, minor } from '../linux/proc/fds.ts';
import { openLocally } from './local-descriptors.ts';
import { node, type ObjectKind } from './object.ts';
import { fdBlocker, fileType, reopenFlags, seekTo, type OpenFile, type OpenFileKind } from './open-file.ts';
import { pathName, withoutDeleted, type PathName } from './path-name.ts';
import { memoryKey, memoryOf, referToMemory } from './shared-memory.ts';

export interface OpenNameless {
  /** objref of the content. */
  readonly memory: number;
  readonly flags: number;
  readonly offset: bigint;
}

const record: RecordKind<OpenNameless> = defineKind<OpenNameless>({
  tag: 0xa2,
  name: 'open-nameless',
  parents: ['files'],
  title: (value) => `#${value.memory} at ${value.offset}`,
  schema: s.record({ memory: s.objref('shared-memory'), flags: s.hex(s.uint(0xffff_ffff)), offset: s.u64() }),
});

const SECRETMEM_MAGIC = 0x5345434d;
const O_TMPFILE_O_DIRECTORY = 0o20200000;
const memfdPrefix = '/memfd:';

/** The name that a file had before it was deleted; of a memfd, the name it was given. undefined for a file that has a name. */
function formerName(file: OpenFile): PathName | undefined {
  if (!fileType.isRegular(file.stat) || !file.link.startsWith('/')) return undefined;
  return file.stat.nlink > 0 ? undefined : withoutDeleted(pathName(file.linkBytes ?? file.link));
}

export const openNameless: ObjectKind<OpenNameless> & OpenFileKind = {
  record,
  title: 'Open file without a name',
  carried: 'memfd and deleted files: position, status flags, sharing of the content between descriptors and mappings.',
  refused: 'Secret memory (memfd_secret); files that nobody but the program may read.',

  recognise: (file) => formerName(file) !== undefined,

  collect(file, objref, _table, collection) {
    const { fd, stat, info } = file;
    const path = `/proc/${collection.pid}/fd/${fd}`;
    if (statfsSync(path).type === SECRETMEM_MAGIC)
      return fdBlocker(file, 'it is secret memory, which nobody else can read', 'Let the program close it');
    const former = formerName(file)?.path ?? file.link;
    const isMemfd = former.startsWith(memfdPrefix);
    const origin = {
      backing: isMemfd ? 'memfd' : 'file',
      name: isMemfd ? former.slice(memfdPrefix.length) : former,
      path,
    } as const;
    try {
      const key = memoryKey(`${major(stat.dev)}:${minor(stat.dev)}`, stat.ino);
      const { objref: memory, before } = referToMemory(collection, key, origin);
      return [...before, node(record, { memory, flags: info.flags, offset: info.pos }, { objref })];
    } catch {
      return fdBlocker(file, 'it has no name any more, and its content cannot be read by you', 'Run stasis as root');
    }
  },

  restart(value, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const path = `/proc/self/fd/${memoryOf(rebuild, value.memory).fd}`;
      const fd = openLocally(path, reopenFlags(value.flags) & ~O_TMPFILE_O_DIRECTORY);
      seekTo(fd, value.offset, path);
      return fd;
    });
  },
};
