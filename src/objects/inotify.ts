/** What changes in files and directories. Source: man 7 inotify, fs/notify/fdinfo.c (inotify_fdinfo), fs/notify/inotify. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { borrow } from '../linux/descriptors.ts';
import { LocalMemory, syscall } from '../linux/ffi.ts';
import { pathOfHandle, type FileHandle } from '../linux/file-handle.ts';
import { makeDevice } from '../linux/proc/fds.ts';
import { readCwd } from '../linux/proc/links.ts';
import { localCall } from './local-descriptors.ts';
import { fdBlocker, setStatusFlags, type OpenFile, type OpenFileKind } from './open-file.ts';
import { node, type Collection, type ObjectKind } from './object.ts';
import { statPath } from './path-stat.ts';
import { waitingIn } from './pipe-content.ts';

export interface Inotify {
  readonly watches: readonly { readonly number: number; readonly path: string; readonly mask: number }[];
  readonly flags: number;
}

/** Numbers of watches rise by one with each that is made, also of those that are gone. */
const highestNumber = 1 << 20;

const record: RecordKind<Inotify> = defineKind<Inotify>({
  tag: 0x6a,
  name: 'inotify',
  parents: ['files'],
  title: ({ watches }) => `${watches.length} watches`,
  schema: s.record({
    watches: s.array(
      s.record({ number: s.uint(highestNumber), path: s.text(4096), mask: s.hex(s.uint(0xffff_ffff)) }),
      highestNumber,
    ),
    flags: s.hex(s.uint(0xffff_ffff)),
  }),
});

const IN_NONBLOCK_CLOEXEC = 0o2004000;
const F_DUPFD_CLOEXEC = 1030;

interface WatchLine extends FileHandle {
  readonly number: number;
  readonly ino: bigint;
  readonly mask: number;
}

const watchLine =
  /^inotify wd:([0-9a-f]+) ino:([0-9a-f]+) sdev:([0-9a-f]+) mask:([0-9a-f]+) ignored_mask:0 fhandle-bytes:[0-9a-f]+ fhandle-type:([0-9a-f]+) f_handle:([0-9a-f]+)\s*$/;

function watchesOf({ info }: OpenFile): WatchLine[] | undefined {
  const watches: WatchLine[] = [];
  for (const line of info.lines) {
    const match = watchLine.exec(line);
    if (match === null) return undefined;
    const [, number = '', ino = '', device = '', mask = '', type = '', handle = ''] = match;
    watches.push({
      number: parseInt(number, 16),
      ino: BigInt(`0x${ino}`),
      device: parseInt(device, 16),
      mask: parseInt(mask, 16),
      type: parseInt(type, 16),
      bytes: Buffer.from(handle, 'hex'),
    });
  }
  return watches.sort((a, b) => a.number - b.number);
}

export const inotify: ObjectKind<Inotify> & OpenFileKind = {
  record,
  title: 'inotify',
  carried: 'Watches with their numbers, by path; status flags.',
  refused:
    'Events that were not read yet; watches of what has no path; without CAP_DAC_READ_SEARCH: what is not found near the open files.',

  recognise: ({ link }) => link === 'anon_inode:inotify',

  collect(file, objref, _table, collection) {
    const refuse = (reason: string, remedy = 'Let the program close it') => fdBlocker(file, reason, remedy);
    if (borrow({ pid: collection.pid, fd: file.fd }, waitingIn) > 0)
      return refuse('events wait in it, which can only be seen by taking them', 'Try again when the program has read them');
    const lines = watchesOf(file);
    if (lines === undefined) return refuse('this kernel does not show the file handles of its watches (CONFIG_EXPORTFS)');
    const watches = [];
    for (const line of lines) {
      if (line.number > highestNumber) return refuse('it has made too many watches', 'Start the program again');
      const path = pathOf(line, collection);
      if (path === undefined) {
        const reason = `it watches inode ${line.ino}, to which no path was found`;
        return refuse(reason, 'Run stasis with CAP_DAC_READ_SEARCH; a file that was deleted cannot be watched again');
      }
      watches.push({ number: line.number, path, mask: line.mask });
    }
    return [node(record, { watches, flags: file.info.flags }, { objref })];
  },

  restart({ watches, flags }, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const fd = localCall('make an inotify descriptor', 'inotify_init1', [IN_NONBLOCK_CLOEXEC]);
      const own = localCall('duplicate a descriptor', 'fcntl', [fd, F_DUPFD_CLOEXEC, 0]);
      rebuild.locals.keep(own);
      // What the restart itself opens and changes is not to be seen.
      rebuild.locals.atEnd(() => {
        addWatches(own, watches);
        setStatusFlags(own, flags);
      });
      return fd;
    });
  },
};

/** By its handle; else, without that privilege, among what is near the files that the program has open. */
function pathOf(line: WatchLine, collection: Collection): string | undefined {
  const device = makeDevice(line.device >>> 20, line.device & 0xfffff);
  const isIt = (path: string): boolean => {
    const stat = statPath(path);
    return stat?.ino === line.ino && Number(stat.dev) === device;
  };
  const path = pathOfHandle(line);
  if (path !== undefined && isIt(path)) return path;
  for (const candidate of nearby(collection)) if (isIt(candidate)) return candidate;
  return undefined;
}

const mostCandidates = 10_000;

function* nearby({ pid, objects }: Collection): Generator<string> {
  const files = objects.processes.flatMap((holder) => objects.files.of(holder).map(({ link }) => link));
  const directories = new Set<string>();
  for (const file of [`${readCwd(pid)?.path ?? '/'}/.`, ...files.filter((link) => link.startsWith('/'))])
    for (let at = file; at !== '/'; at = dirname(at)) directories.add(at);
  directories.add('/');
  yield* directories;
  let left = mostCandidates;
  for (const directory of directories) {
    for (const name of namesIn(directory)) {
      if (left-- === 0) return;
      yield join(directory, name);
    }
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // no directory, or closed to us
  }
}

/** Some inode that no program watches. */
const placeholder = '/proc/self/limits';

function addWatches(fd: number, watches: Inotify['watches']): void {
  const memory = LocalMemory.scratch('path', 16384);
  const add = (path: string, mask: number): number => {
    memory.bytes.set(Buffer.from(`${path}\0`));
    return localCall(`watch ${path}`, 'inotify_add_watch', [fd, memory.address, mask]);
  };
  const IN_DONT_FOLLOW = 0x02000000;
  const IN_DELETE_SELF = 0x400;
  let next = 1;
  for (const { number, path, mask } of watches) {
    for (; next < number; next++) {
      const made = add(placeholder, IN_DELETE_SELF);
      localCall('remove a watch', 'inotify_rm_watch', [fd, made]);
    }
    const made = add(path, mask | IN_DONT_FOLLOW);
    if (made !== number)
      throw new StasisError('RESTART_FAILED', `Cannot watch ${path} as number ${number}: the kernel counts otherwise`);
    next = number + 1;
  }
  while (syscall('read', fd, memory.address, 16384) > 0); // removing a watch is an event
}
