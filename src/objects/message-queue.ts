/** POSIX message queues: the queue stays in the kernel under its name, as a file does. Source: man 7 mq_overview, ipc/mqueue.c. */
import { readFileSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { borrow } from '../linux/descriptors.ts';
import { LocalMemory, syscall, syscallError } from '../linux/ffi.ts';
import { fdBlocker, fileType, reopenFlags, type OpenFile, type OpenFileKind } from './open-file.ts';
import { node, type Collection, type ObjectKind } from './object.ts';

export interface MessageQueue {
  /** As mq_open takes it, with its slash. */
  readonly queue: string;
  readonly flags: number;
}

const record: RecordKind<MessageQueue> = defineKind<MessageQueue>({
  tag: 0x6b,
  name: 'message-queue',
  parents: ['files'],
  title: ({ queue }) => queue,
  schema: s.record({ queue: s.text(256), flags: s.hex(s.uint(0xffff_ffff)) }),
});

/** Queues are files of a file system that the kernel mounts for itself: their links show a name only. */
function isQueue({ fd, link, stat }: OpenFile, { pid }: Collection): boolean {
  if (!/^\/[^/]+$/.test(link) || !fileType.isRegular(stat) || stat.size !== fileSize) return false;
  return borrow({ pid, fd }, (own) => {
    const memory = LocalMemory.scratch('statfs', 256);
    return syscall('fstatfs', own, memory.address) === 0 && memory.view.getBigInt64(0, true) === MQUEUE_MAGIC;
  });
}

/** FILENT_SIZE of ipc/mqueue.c, and the type of its file system. */
const fileSize = 80n;
const MQUEUE_MAGIC = 0x19800202n;

/** The process that is to be told of the next message (mqueue_read_file). */
function notifiedBy({ fd }: OpenFile, { pid }: Collection): number {
  return Number(/NOTIFY_PID:(\d+)/.exec(readFileSync(`/proc/${pid}/fd/${fd}`, 'latin1'))?.[1] ?? 0);
}

export const messageQueue: ObjectKind<MessageQueue> & OpenFileKind = {
  record,
  title: 'POSIX message queue',
  carried: 'Name, access, O_NONBLOCK. The messages stay in the kernel, as the content of a file stays on its disk.',
  refused: 'Queues that were removed; a notification that the program asked for (mq_notify).',

  recognise: (file, _table, collection) => isQueue(file, collection),

  collect(file, objref, _table, collection) {
    if (file.stat.nlink === 0) return fdBlocker(file, 'the message queue was removed', 'Let the program close it');
    if (collection.objects.processes.includes(notifiedBy(file, collection)))
      return fdBlocker(file, 'the program waits for a notification of the queue', 'Let it call mq_notify(queue, NULL) first');
    return [node(record, { queue: file.link, flags: file.info.flags }, { objref })];
  },

  restart({ queue, flags }, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const memory = LocalMemory.scratch('path', 16384);
      memory.bytes.set(Buffer.from(`${queue.slice(1)}\0`)); // the system call takes it without its slash
      const result = syscall('mq_open', memory.address, reopenFlags(flags), 0, 0);
      if (result >= 0) return result; // close-on-exec, always
      const details = {
        code: 'RESTART_FAILED',
        phase: 'restore',
        hint: 'Make the queue first, or restart where it is.',
      } as const;
      throw syscallError('mq_open', result, `Cannot open the message queue ${queue}`, details);
    });
  },
};
