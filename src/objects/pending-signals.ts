/**
 * Signals that wait: those for the whole process and those for one thread, each with its siginfo, in the order in which
 * they came. Source: man 2 ptrace (PTRACE_PEEKSIGINFO), man 2 rt_sigqueueinfo, kernel/signal.c.
 */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import type { Schema } from '../image/schema-types.ts';
import { siginfo } from '../linux/abi/signal.ts';
import { peekSignals, setSignalMask } from '../linux/ptrace.ts';
import { readStatus } from '../linux/proc/status.ts';
import { viewOf } from '../linux/structs.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';

export interface PendingSignal {
  readonly signal: number;
  /** siginfo_t as the kernel gives it, without the zeros at its end. */
  readonly info: Uint8Array;
}

export interface PendingSignals {
  /** In the order in which they were queued. */
  readonly pending: readonly PendingSignal[];
}

const SIGTRAP = 5;
const SIGKILL = 9;
const SIGSTOP = 19;
const SI_TIMER = -2;
const allSignals = 0xffff_ffff_ffff_ffffn;

/** More than that, which RLIMIT_SIGPENDING allows, goes on in the next record. */
const perRecord = 4096;

const schema: Schema<PendingSignals> = s.record({
  pending: s.array(s.record({ signal: s.uint(64), info: s.hex(s.bytes(siginfo.size)) }), perRecord),
});

const record: RecordKind<PendingSignals> = defineKind<PendingSignals>({
  tag: 0xc0,
  name: 'pending-signals',
  parents: ['task'],
  schema,
});

const threadRecord: RecordKind<PendingSignals> = defineKind<PendingSignals>({
  tag: 0xc1,
  name: 'thread-pending-signals',
  parents: ['thread'],
  schema,
});

/** Those of the whole process. */
export function collectPendingSignals({ tracee, status }: Pick<Collection, 'tracee' | 'status'>): ImageNode[] {
  return waiting(tracee.tid, true, status.shdPnd).map((value) => node(record, value));
}

/** Those that only this thread may take. */
export function collectThreadPendingSignals({ tracee, status }: Pick<Collection, 'tracee' | 'status'>): ImageNode[] {
  return waiting(tracee.tid, false, status.sigPnd).map((value) => node(threadRecord, value));
}

/** `bits`: what was pending at the stop, with the signals that the kernel had no memory to describe. */
function waiting(tid: number, shared: boolean, bits: bigint): PendingSignals[] {
  const pending = peekSignals(tid, shared).map((info) => ({
    signal: siginfo.get(viewOf(info), 'si_signo'),
    info: trimmed(info),
  }));
  const described = new Set(pending.map(({ signal }) => signal));
  for (let signal = 1; signal <= 64; signal++) {
    // What the kernel itself makes up for such a signal: kernel/signal.c, collect_signal.
    if ((bits & (1n << BigInt(signal - 1))) !== 0n && !described.has(signal))
      pending.push({ signal, info: trimmed(siginfo.make({ si_signo: signal })) });
  }
  const records: PendingSignals[] = [];
  for (let at = 0; at < pending.length; at += perRecord) records.push({ pending: pending.slice(at, at + perRecord) });
  return records;
}

function trimmed(info: Uint8Array): Uint8Array {
  let { length } = info;
  while (length > 0 && info[length - 1] === 0) length--;
  return info.slice(0, length);
}

function whole({ info }: PendingSignal): Uint8Array {
  const bytes = new Uint8Array(siginfo.size);
  bytes.set(info);
  return bytes;
}

/** The POSIX timer that queued a signal; undefined for any other signal. */
export function timerOf(signal: PendingSignal): number | undefined {
  const { si_code, si_timerid } = siginfo.parse(whole(signal));
  return si_code === SI_TIMER ? si_timerid : undefined;
}

/**
 * A task may queue signals of any origin for itself (kernel/signal.c: do_rt_sigqueueinfo). They wait, as all are blocked
 * until the release. They come after the dispositions: setting a signal to be ignored drops it.
 */
function queue(rebuild: Rebuild, { pending }: PendingSignals, shared: boolean, injected: (() => void)[]): void {
  const { finals, tracee } = rebuild;
  const { nsTgid, nsPid } = readStatus(tracee.tid);
  const ids = [...(shared ? [] : nsTgid.slice(-1)), ...nsPid.slice(-1)];
  const call = shared ? 'rt_sigqueueinfo' : 'rt_tgsigqueueinfo';
  for (const one of pending) {
    if (one.signal === SIGKILL) continue;
    if (one.signal === SIGSTOP) {
      finals.stopped = true; // it cannot be blocked, and would stop the task before it is whole
      continue;
    }
    const timer = timerOf(one);
    if (timer !== undefined && finals.timers.get(timer)?.expire(tracee.tid, shared) === true) continue;
    if (one.signal === SIGTRAP) {
      // A batch ends in a breakpoint: this one signal is not blocked before all batches have run.
      injected.push(() => {
        const { area } = rebuild;
        setSignalMask(area.tracee.tid, allSignals);
        area.mustCall('queue a signal', call, [...ids, one.signal, area.place(whole(one))]);
      });
      continue;
    }
    rebuild.room(1, siginfo.size + 16);
    rebuild.batch.add(`queue signal ${one.signal}`, call, [...ids, one.signal, rebuild.batch.data(whole(one))]);
  }
}

export const pendingSignals: ObjectKind<PendingSignals> = {
  record,
  title: 'Pending signals',
  carried:
    'Signals that wait for the process, with their siginfo, queued ones in order; those of POSIX timers stay tied to their timer.',
  refused: '',

  restart(value, rebuild) {
    const { finals } = rebuild;
    finals.lastCalls.push(() => queue(rebuild, value, true, finals.injected));
  },
};

export const threadPendingSignals: ObjectKind<PendingSignals> = {
  record: threadRecord,
  title: 'Pending signals of a thread',
  carried: 'The same for signals that one thread alone may take.',
  refused: '',

  restart(value, rebuild) {
    const { calls, injected } = rebuild.thread;
    calls.push(() => queue(rebuild, value, false, injected));
  },
};
