/**
 * Locks on open files, set again by the task itself, as those of fcntl belong to a process, and the kernel tells others
 * who made a lock. Source: man 2 flock, man 2 fcntl (record locks, open file description locks, leases), fs/locks.c.
 */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { flock } from '../linux/abi/flock.ts';
import { parseLock, readLocks, type FileLock as ProcLock } from '../linux/proc/locks.ts';
import { readFdStat } from '../linux/proc/fds.ts';
import { fdBlocker, type OpenFile } from './open-file.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';

export interface FileLock {
  /** objref of the open file through which it was set. */
  readonly description: number;
  readonly type: 'flock' | 'posix' | 'ofd' | 'lease';
  readonly access: 'read' | 'write';
  readonly start: bigint;
  /** The last byte; absent for the end of the file, wherever it is. */
  readonly end?: bigint | undefined;
}

const record: RecordKind<FileLock> = defineKind<FileLock>({
  tag: 0xa4,
  name: 'file-lock',
  parents: ['files'],
  title: (value) => `${value.type} ${value.access} on #${value.description}`,
  schema: s.record({
    description: s.objref(),
    type: s.oneOf('flock', 'posix', 'ofd', 'lease'),
    access: s.oneOf('read', 'write'),
    start: s.u64(),
    end: s.optional(s.u64()),
  }),
});

const types = { FLOCK: 'flock', POSIX: 'posix', OFDLCK: 'ofd', LEASE: 'lease' } as const;

/**
 * The locks that fdinfo shows with a descriptor. Those of fcntl are shown to the process that owns them alone; the others
 * belong to the open file, and are in the image once.
 */
export function collectLocks(file: OpenFile, description: number, { blockers, objects }: Collection): ImageNode[] {
  if (file.info.locks.length === 0) return [];
  const isNew = !objects.locked.has(description);
  objects.locked.add(description);
  const nodes: ImageNode[] = [];
  for (const line of file.info.locks) {
    const lock = parseLock(line);
    if (lock === undefined || (lock.type !== 'POSIX' && !isNew)) continue;
    if (lock.type === 'DELEG' || lock.state === 'BREAKING' || lock.access === 'UNLCK') {
      blockers.push(fdBlocker(file, `a lease on it is being taken back (${line})`, 'Try again in a moment'));
      continue;
    }
    const { start, end } = lock;
    const access = lock.access === 'READ' ? 'read' : 'write';
    const value = { description, type: types[lock.type], access, start, ...(end !== undefined && { end }) } as const;
    nodes.push(node(record, value));
  }
  return nodes;
}

/** Of a file that is under way in a message: no process has a descriptor to lock it by. */
export function refuseLocks(file: OpenFile, { blockers }: Collection): void {
  if (file.info.locks.length === 0) return;
  blockers.push(fdBlocker(file, 'a descriptor of it is under way in a message, and it is locked', 'Let it be received first'));
}

export const fileLock: ObjectKind<FileLock> = {
  record,
  title: 'Lock on an open file',
  carried: 'flock; fcntl locks of a process and of an open file (OFD), with their ranges; leases.',
  refused: 'A lease that is being broken. At restart: a lock that somebody else holds meanwhile.',

  restart(value, rebuild) {
    // When all descriptors are in place: to close one takes the locks of fcntl from the whole file.
    rebuild.finals.calls.push(() => {
      const fd = rebuild.descriptors.numberOf(value.description);
      if (fd === undefined)
        throw new StasisError('IMAGE', `A lock belongs to object ${value.description}, which the process does not have open`);
      rebuild.room(1, 64);
      assertFree(value, fd, rebuild);
      setLock(value, fd, rebuild);
    });
  },
};

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const F_SETLK = 6;
const F_OFD_SETLK = 37;
const F_SETLEASE = 1024;
const F_RDLCK = 0;
const F_WRLCK = 1;

function setLock(value: FileLock, fd: number, { batch }: Rebuild): void {
  const isWrite = value.access === 'write';
  const action = `set the ${value.type} ${value.access} lock on fd ${fd} again, which somebody else may hold now`;
  switch (value.type) {
    case 'flock':
      batch.add(action, 'flock', [fd, (isWrite ? LOCK_EX : LOCK_SH) | LOCK_NB]);
      break;
    case 'lease':
      batch.add(action, 'fcntl', [fd, F_SETLEASE, isWrite ? F_WRLCK : F_RDLCK]);
      break;
    case 'posix':
    case 'ofd': {
      const length = value.end === undefined ? 0n : value.end - value.start + 1n;
      const bytes = flock.make({
        l_type: isWrite ? F_WRLCK : F_RDLCK,
        l_start: BigInt.asIntN(64, value.start),
        l_len: BigInt.asIntN(64, length),
      });
      batch.add(action, 'fcntl', [fd, value.type === 'posix' ? F_SETLK : F_OFD_SETLK, batch.data(bytes)]);
    }
  }
}

/** Names who is in the way, where the kernel only says EAGAIN. */
function assertFree(value: FileLock, fd: number, { tracee }: Rebuild): void {
  const inode = readFdStat(tracee.tid, fd)?.ino;
  const other = readLocks().find((lock) => lock.inode === inode && conflicts(value, lock));
  if (other === undefined) return;
  const holder = other.pid > 0 ? `process ${other.pid}` : 'somebody else';
  throw new StasisError('RESTART_FAILED', `Cannot lock fd ${fd} again: ${holder} has locked the file meanwhile`, {
    phase: 'restore',
    hint: 'Wait until that lock is given up, or end its holder; is it the original of this image, still running?',
  });
}

function conflicts(value: FileLock, lock: ProcLock): boolean {
  if (value.access === 'read' && lock.access === 'READ') return false;
  if (value.type === 'flock') return lock.type === 'FLOCK';
  if (value.type === 'lease' || (lock.type !== 'POSIX' && lock.type !== 'OFDLCK')) return false;
  const isBefore = value.end !== undefined && value.end < lock.start;
  const isAfter = lock.end !== undefined && lock.end < value.start;
  return !isBefore && !isAfter;
}
