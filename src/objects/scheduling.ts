/** How the kernel schedules the task on processors and disks. Source: man 7 sched, man 2 sched_setattr, man 2 ioprio_set. */
import { cpus } from 'node:os';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { LocalMemory, mustSyscall, syscall } from '../linux/ffi.ts';
import type { ObjectKind, ThreadCollection } from './object.ts';

export interface Scheduling {
  /** Kept by the kernel under real-time policies too, where the attributes do not show it. */
  readonly nice: number;
  /** struct sched_attr: policy, flags, nice value, priorities. */
  readonly attributes: Uint8Array;
  /** Class in the upper three bits of sixteen, data below. */
  readonly ioPriority: number;
  /** Processors that it may run on, bit 0 is number 0; absent when it may run on all there are. */
  readonly affinity?: Uint8Array | undefined;
}

const record: RecordKind<Scheduling> = defineKind<Scheduling>({
  tag: 0x36,
  name: 'scheduling',
  parents: ['thread'],
  schema: s.record({
    nice: s.int(),
    attributes: s.hex(s.bytes(256)),
    ioPriority: s.hex(s.uint(0xffff)),
    affinity: s.optional(s.hex(s.bytes(8192))),
  }),
});

const attributesSize = 56; // SCHED_ATTR_SIZE_VER1
const masksSize = 8192;
const IOPRIO_WHO_PROCESS = 1;

function readAttributes(pid: number): Uint8Array {
  const memory = LocalMemory.scratch('scheduling', masksSize);
  memory.bytes.fill(0, 0, attributesSize);
  mustSyscall('sched_getattr', `Cannot ask how ${pid} is scheduled`, pid, memory.address, attributesSize, 0);
  return memory.bytes.slice(0, attributesSize);
}

function readAffinity(pid: number): Uint8Array {
  const memory = LocalMemory.scratch('scheduling', masksSize);
  const length = mustSyscall(
    'sched_getaffinity',
    `Cannot ask on which processors ${pid} may run`,
    pid,
    masksSize,
    memory.address,
  );
  return memory.bytes.slice(0, length);
}

let processors: { readonly count: number; readonly at: number } | undefined;

/** Looked up again after a second: processors may come and go. */
function processorCount(): number {
  const now = performance.now();
  if (processors === undefined || now - processors.at > 1000) processors = { count: cpus().length, at: now };
  return processors.count;
}

const PRIO_PROCESS = 0;

export function collectScheduling({ tid }: ThreadCollection): Scheduling {
  const affinity = readAffinity(tid);
  const allowed = affinity.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
  return {
    // The call itself answers 20 minus the value, since it may not be negative (man 2 getpriority).
    nice: 20 - mustSyscall('getpriority', `Cannot ask for the nice value of ${tid}`, PRIO_PROCESS, tid),
    attributes: readAttributes(tid),
    ioPriority: mustSyscall('ioprio_get', `Cannot ask for the I/O priority of ${tid}`, IOPRIO_WHO_PROCESS, tid),
    ...(allowed < processorCount() && { affinity }),
  };
}

const CAP_SYS_NICE = 1n << 23n;

export const scheduling: ObjectKind<Scheduling> = {
  record,
  title: 'Scheduling',
  carried:
    'Policy, priority and nice value; processors, where it was bound to some; I/O priority. What needs a privilege that is missing is reported.',
  refused: '',

  restart(value, rebuild) {
    const { tid } = rebuild.tracee;
    const { status, stat } = rebuild.fresh;
    const privileged = (status.capEff & CAP_SYS_NICE) !== 0n;
    const attributes = value.attributes.slice(0, attributesSize);
    const same = Buffer.compare(readAttributes(tid), attributes) === 0;
    const raised = isRaised(value, stat.nice);
    const samePriority = syscall('ioprio_get', IOPRIO_WHO_PROCESS, tid) === value.ioPriority;
    rebuild.thread.calls.push(() => {
      rebuild.room(4, masksSize + attributesSize);
      const { batch, notes } = rebuild;
      batch.add('set the nice value', 'setpriority', [0, 0, value.nice], { mayFail: true });
      if (!same) batch.add('set the scheduling policy', 'sched_setattr', [0, batch.data(attributes), 0], { mayFail: true });
      if (!same && !privileged && raised)
        notes.push('The program may not get back its scheduling policy or nice value: that needs CAP_SYS_NICE.');
      if (!samePriority)
        batch.add('set the I/O priority', 'ioprio_set', [IOPRIO_WHO_PROCESS, 0, value.ioPriority], { mayFail: true });
      // fails where those processors do not exist
      if (value.affinity !== undefined)
        batch.add('set the processors', 'sched_setaffinity', [0, value.affinity.length, batch.data(value.affinity)], {
          mayFail: true,
        });
    });
  },
};

/** Ordinary users may only lower a priority. */
function isRaised({ attributes, nice }: Scheduling, niceHere: number): boolean {
  const policy = new DataView(attributes.buffer, attributes.byteOffset).getUint32(4, true); // of struct sched_attr
  const SCHED_FIFO_RR_DEADLINE = [1, 2, 6];
  return SCHED_FIFO_RR_DEADLINE.includes(policy) || nice < niceHere;
}
