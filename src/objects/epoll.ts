/** epoll: what is watched, and for what. Source: man 7 epoll, fs/eventpoll.c (ep_show_fdinfo, ep_insert, ep_send_events). */
import { StasisError, type Blocker } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { epoll_event } from '../linux/abi/epoll.ts';
import { isWatched, type Watch } from '../linux/descriptors.ts';
import type { HeldFile } from './file-tables.ts';
import { localCall } from './local-descriptors.ts';
import { fdBlocker, setStatusFlags, type OpenFile, type OpenFileKind } from './open-file.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';
import type { Pending } from './object-table.ts';

export interface Epoll {
  readonly flags: number;
}

const record: RecordKind<Epoll> = defineKind<Epoll>({
  tag: 0x67,
  name: 'epoll',
  parents: ['files'],
  schema: s.record({ flags: s.hex(s.uint(0xffff_ffff)) }),
});

export interface EpollItem {
  /** objref of the epoll descriptor's open file. */
  readonly epoll: number;
  /** The number under which it was added. The program may have closed that since, and still have the open file. */
  readonly fd: number;
  /** objref of the open file that is watched. */
  readonly target: number;
  /** EPOLL*; without any of what can happen when EPOLLONESHOT has struck. */
  readonly events: number;
  readonly data: bigint;
}

const itemRecord: RecordKind<EpollItem> = defineKind<EpollItem>({
  tag: 0x68,
  name: 'epoll-item',
  parents: ['files'],
  title: ({ epoll: number, fd, target }) => `#${number} watches ${fd} -> #${target}`,
  schema: s.record({
    epoll: s.objref('epoll'),
    fd: s.uint(0x7fff_ffff),
    target: s.objref(),
    events: s.hex(s.uint(0xffff_ffff)),
    data: s.hex(s.u64()),
  }),
});

/** EPOLLWAKEUP, EPOLLONESHOT, EPOLLET, EPOLLEXCLUSIVE: how, not what. All others are what may happen. */
const EP_PRIVATE_BITS = 0xf000_0000;
/** EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLRDHUP. */
const anything = 0x2007;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_MOD = 3;
const EPOLL_CLOEXEC = 0o2000000;

interface ItemLine extends Watch {
  readonly events: number;
  readonly data: bigint;
  readonly ino: bigint;
}

const itemLine = /^tfd:\s*(\d+) events:\s*([0-9a-f]+) data:\s*([0-9a-f]+)\s+pos:-?\d+ ino:([0-9a-f]+) sdev:[0-9a-f]+$/;

function itemsOf({ fd, info }: OpenFile): ItemLine[] {
  const seen = new Map<number, number>();
  return info.lines.map((line) => {
    const match = itemLine.exec(line);
    if (match === null) throw new StasisError('FAILED', `The kernel shows an epoll item in an unknown way: ${line}`);
    const [, number, events, data, ino] = match;
    const target = Number(number);
    const offset = seen.get(target) ?? 0;
    seen.set(target, offset + 1);
    const values = { events: Number(`0x${events ?? ''}`), data: BigInt(`0x${data ?? ''}`), ino: BigInt(`0x${ino ?? ''}`) };
    return { epoll: fd, target, offset, ...values };
  });
}

/** A descriptor that leads to what an item watches: the one of that number as a rule, else any of whichever process. */
function findTarget(item: ItemLine, { pid, objects }: Collection): HeldFile | undefined {
  const { files } = objects;
  const sameNumber = [pid, ...files.pids].map((holder) => files.at({ pid: holder, fd: item.target }));
  const likely = sameNumber.find((held) => held?.file.stat.ino === item.ino && isWatched(pid, item, held));
  return likely ?? files.withInode(item.ino).find((held) => isWatched(pid, item, held));
}

function pendingItem(epollFile: number, item: ItemLine, { pid, file }: HeldFile, { objects }: Collection): Pending {
  return () => {
    const target = objects.descriptions.find(pid, file);
    const { target: fd, events, data } = item;
    return target === undefined ? undefined : node(itemRecord, { epoll: epollFile, fd, target, events, data });
  };
}

export const epoll: ObjectKind<Epoll> & OpenFileKind = {
  record,
  title: 'epoll',
  carried: 'Everything that it watches; nested ones; status flags.',
  refused: '',

  recognise: ({ link }) => link === 'anon_inode:[eventpoll]',

  collect(file, objref, _table, collection): ImageNode[] | Blocker {
    for (const item of itemsOf(file)) {
      const target = findTarget(item, collection);
      if (target === undefined) {
        const reason = `it watches a file, added as descriptor ${item.target}, that no descriptor of the program leads to any more`;
        return fdBlocker(file, reason, 'Let the program remove it from the epoll descriptor before it closes it');
      }
      collection.objects.pending.add(pendingItem(objref, item, target, collection));
    }
    return [node(record, { flags: file.info.flags }, { objref })];
  },

  restart({ flags }, rebuild, { objref }) {
    rebuild.described.set(objref, { canStrike: true } satisfies NewEpoll);
    rebuild.descriptors.add(objref, () => {
      const fd = localCall('make an epoll descriptor', 'epoll_create1', [EPOLL_CLOEXEC]);
      setStatusFlags(fd, flags);
      return fd;
    });
  },
};

interface NewEpoll {
  /** Nothing is in it that could be reported in place of a one-shot item. */
  canStrike: boolean;
}

export const epollItem: ObjectKind<EpollItem> = {
  record: itemRecord,
  title: 'What an epoll descriptor watches',
  carried:
    'Open file, number, events, data; edge-triggered, one-shot (also when it has struck), exclusive. An edge-triggered one that is ready is reported again.',
  refused: 'Open files that only the epoll descriptor leads to any more.',

  /** An item is known by its open file and its number, so the task itself adds it, under that number. */
  restart(item, rebuild) {
    const { descriptors } = rebuild;
    const add = (epollFd: number): void => addItem(item, epollFd, rebuild);
    descriptors.after(item.fd, item.target, item.epoll, add, hasStruck(item));
  },
};

/** EPOLLONESHOT has struck: all that may happen is taken away until the program arms it again (ep_send_events). */
function hasStruck({ events }: EpollItem): boolean {
  return (events & ~EP_PRIVATE_BITS) === 0;
}

function addItem(item: EpollItem, epollFd: number, rebuild: Rebuild): void {
  rebuild.room(3, 64);
  const { batch } = rebuild;
  const control = (operation: number, events: number): void => {
    const event = batch.data(epoll_event.make({ events: events >>> 0, data: item.data }));
    batch.add(`watch descriptor ${item.fd}`, 'epoll_ctl', [epollFd, operation, item.fd, event]);
  };
  const target = rebuild.described.get(item.epoll) as NewEpoll;
  if (!hasStruck(item) || !target.canStrike) {
    target.canStrike &&= hasStruck(item);
    return control(EPOLL_CTL_ADD, item.events);
  }
  // Let it strike again, on whatever the file is ready for.
  control(EPOLL_CTL_ADD, item.events | anything);
  const events = batch.data(new Uint8Array(epoll_event.size));
  const index = batch.add('let a one-shot event strike', 'epoll_wait', [epollFd, events, 1, 0]);
  if (rebuild.flush()[index] !== 0n) return;
  // Ready for nothing: then it stays armed for errors and hang-ups alone, which the kernel does not let out.
  rebuild.room(1, 64);
  const event = rebuild.batch.data(epoll_event.make({ events: item.events, data: item.data }));
  rebuild.batch.add(`watch descriptor ${item.fd}`, 'epoll_ctl', [epollFd, EPOLL_CTL_MOD, item.fd, event]);
}
