/**
 * System V shared memory: a segment with its content, as long as somebody has it attached. A segment outlives its program: a
 * restart takes the one that is there, if nobody else uses it, and gives it its former content.
 */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { dataPages } from '../linux/extents.ts';
import { pageSize } from '../linux/pagemap.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import {
  AttachedSegment, createSegment, IPC_PRIVATE, lockSegment, removeSegment, requestSegmentId, segmentStatus, setSegmentOwner, SHM_DEST, SHM_LOCKED,
} from '../linux/sysv-shm.ts'; // prettier-ignore
import { closeSync, openSync } from 'node:fs';
import { errno, errnoName } from '../linux/errno.ts';
import { StasisError, type Blocker } from '../errors.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';
import { readFromFile } from './shared-memory.ts';
import { openable, throughMappings, type Content } from './vma-shared-memory.ts';
import { vmaBlocker } from './vma.ts';

export interface SharedSegment {
  readonly id: number;
  /** 0: IPC_PRIVATE, or removed already. */
  readonly key: number;
  /** Bytes. */
  readonly size: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970 of its making or last change, which tells it from a later one of the same id. */
  readonly changed: bigint;
  /** SHM_LOCK. */
  readonly locked: boolean;
  /** IPC_RMID was asked for: it goes when nobody has it attached any more. */
  readonly removed: boolean;
  /** Bytes of a page, when they are huge ones. */
  readonly hugePage?: number | undefined;
}

const record: RecordKind<SharedSegment> = defineKind<SharedSegment>({
  tag: 0x27,
  name: 'shared-segment',
  container: true,
  parents: ['mm'],
  title: ({ id, size }) => `${id} (${size} bytes)`,
  schema: s.record({
    id: s.uint(0x7fff_ffff),
    key: s.int(),
    size: s.u64(),
    mode: s.uint(0o777),
    uid: s.uint(0xffff_ffff),
    gid: s.uint(0xffff_ffff),
    changed: s.i64(),
    locked: s.bool(),
    removed: s.bool(),
    hugePage: s.optional(s.uint(1 << 30)),
  }),
});

/** The segment behind a mapping. */
export function referToSegment(vma: SmapsVma, collection: Collection): { objref: number; before: ImageNode[] } | Blocker {
  const id = Number(vma.inode);
  const status = segmentStatus(id);
  const content = contentOf(vma, collection);
  if (status === undefined || content === undefined)
    return vmaBlocker(
      vma,
      `the System V segment ${id} may not be read by you`,
      'Run stasis as root, or as the owner of the segment.',
    );
  const mode = status['shm_perm.mode'];
  return collection.objects.refer(`segment ${id}`, (objref) => {
    const value: SharedSegment = {
      id,
      key: status['shm_perm.key'],
      size: status.shm_segsz,
      mode: mode & 0o777,
      uid: status['shm_perm.uid'],
      gid: status['shm_perm.gid'],
      changed: status.shm_ctime,
      locked: (mode & SHM_LOCKED) !== 0,
      removed: (mode & SHM_DEST) !== 0,
      ...(vma.vmFlags.has('ht') && { hugePage: vma.sizes.KernelPageSize * 1024 }),
    };
    return node(record, value, { objref, children: [], pages: content.pages, readPages: content.read });
  });
}

function contentOf(vma: SmapsVma, collection: Collection): Pick<Content, 'pages' | 'read'> | undefined {
  const path = openable(collection.pid, vma, '');
  if (path === undefined) return vma.vmFlags.has('ht') ? undefined : throughMappings(vma, collection);
  const fd = openSync(path, 'r');
  try {
    const size = segmentStatus(Number(vma.inode))?.shm_segsz ?? 0n;
    return { pages: dataPages(fd, size), read: (runs, into) => readFromFile(path, runs, into) };
  } finally {
    closeSync(fd);
  }
}

/** What a mapping finds in {@link Rebuild.described}. */
export interface RestartedSegment extends SharedSegment {
  /** Its id now. */
  readonly now: number;
}

export const sharedSegment: ObjectKind<SharedSegment> = {
  record,
  title: 'System V shared memory segment',
  carried:
    'Key, size, mode, owner, all pages that are not zero, SHM_LOCK, pending removal; its id where that is free and the restart has CAP_CHECKPOINT_RESTORE, else reported. Segments that nobody has attached stay in the system and are not carried.',
  refused: 'Segments that may not be read.',

  restart(value, rebuild, { objref }) {
    const present = segmentStatus(value.id);
    const mine = present !== undefined && isSame(value, present) && present.shm_nattch === 0n;
    const now = mine ? value.id : create(value, rebuild);
    const state = { whole: mine };
    rebuild.keep({ [Symbol.dispose]: () => state.whole || removeSegment(now) });
    const pages = (value.size + BigInt(pageSize) - 1n) / BigInt(pageSize);
    const attached = new AttachedSegment(now, Number(pages) * pageSize);
    if (mine) attached.memory.bytes.fill(0);
    const restarted: RestartedSegment = { ...value, now };
    rebuild.described.set(objref, restarted);
    rebuild.finals.vma = {
      spans: [{ start: 0n, end: pages * BigInt(pageSize) }],
      after: [() => attached[Symbol.dispose](), () => complete(restarted, rebuild)],
      store: (ranges, data) => {
        let from = 0;
        for (const { address, length } of ranges) {
          attached.memory.bytes.set(data.subarray(from, from + length), Number(address));
          from += length;
        }
      },
    };
    // Those who attach it are there then.
    rebuild.finals.lastCalls.push(() => {
      if (value.removed) removeSegment(now);
      state.whole = true;
    });
  },

  close(rebuild) {
    for (const step of rebuild.finals.vma?.after ?? []) step();
    delete rebuild.finals.vma;
  },
};

function isSame(value: SharedSegment, present: NonNullable<ReturnType<typeof segmentStatus>>): boolean {
  return present['shm_perm.key'] === value.key && present.shm_segsz === value.size && present.shm_ctime === value.changed;
}

function create(value: SharedSegment, rebuild: Rebuild): number {
  const { size, mode, hugePage } = value;
  let { key } = value;
  const requested = requestSegmentId(value.id);
  let id = createSegment(key, size, mode | 0o600, hugePage);
  if (id === -errno.EEXIST) {
    rebuild.notes.push(`Another shared memory segment has the key 0x${(key >>> 0).toString(16)}: the program's own has none now`);
    key = IPC_PRIVATE;
    id = createSegment(key, size, mode | 0o600, hugePage);
  }
  if (id < 0) {
    if (requested) requestSegmentId(-1);
    throw new StasisError('RESTART_FAILED', `Cannot make a shared memory segment of ${size} bytes: ${errnoName(-id)}`, {
      phase: 'restore',
    });
  }
  if (id !== value.id) rebuild.notes.push(`Shared memory segment ${value.id} has the id ${id} now`);
  return id;
}

function complete({ now, uid, gid, mode, locked }: RestartedSegment, rebuild: Rebuild): void {
  if (setSegmentOwner(now, uid, gid, mode) < 0)
    rebuild.notes.push(`Shared memory segment ${now} belongs to you now, not to ${uid}:${gid}`);
  if (locked && lockSegment(now) < 0)
    rebuild.notes.push(`Shared memory segment ${now} is not locked any more: that takes CAP_IPC_LOCK`);
}

/** The segment that a record refers to. */
export function segmentOf(rebuild: Rebuild, objref: number): RestartedSegment {
  const segment = rebuild.described.get(objref);
  if (segment === undefined) throw new StasisError('IMAGE', `The image refers to object ${objref} before it describes it`);
  return segment as RestartedSegment;
}
