/** A thread: its name and number. What the kernel keeps per thread nests inside. Source: man 2 clone, man 5 proc_pid_comm. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readComm } from '../linux/proc/values.ts';
import type { ObjectKind, ThreadCollection } from './object.ts';

export interface Thread {
  readonly tid: number;
  readonly comm: string;
  /** The name as it is, where it is not UTF-8. */
  readonly commBytes?: Uint8Array | undefined;
}

const record: RecordKind<Thread> = defineKind<Thread>({
  tag: 0x13,
  name: 'thread',
  container: true,
  parents: ['task'],
  title: (value) => `${value.comm} (${value.tid})`,
  schema: s.record({ tid: s.uint(0x7fff_ffff), comm: s.text(64), commBytes: s.optional(s.hex(s.bytes(16))) }),
});

const PR_SET_NAME = 15;

export function collectThread({ tid }: ThreadCollection): Thread {
  const name = readComm(tid);
  const comm = Buffer.from(name).toString();
  return { tid, comm, ...(Buffer.from(comm).compare(name) !== 0 && { commBytes: name }) };
}

export const thread: ObjectKind<Thread> = {
  record,
  title: 'Thread',
  carried:
    'Name. Its former id where it is free and the restart may choose (CAP_CHECKPOINT_RESTORE); else the C library finds the new one.',
  refused: '',

  restart(value, rebuild) {
    rebuild.beginThread(value.tid);
    rebuild.thread.calls.push(() => {
      const { batch } = rebuild;
      const name = Buffer.concat([value.commBytes ?? Buffer.from(value.comm), Uint8Array.of(0)]);
      batch.add('set the name', 'prctl', [PR_SET_NAME, batch.data(name), 0, 0, 0]);
    });
  },
};
