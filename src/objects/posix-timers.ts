/** POSIX timers of a process. Source: man 2 timer_create, man 5 proc_pid_timers, kernel/time/posix-timers.c. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { itimerspec } from '../linux/abi/time.ts';
import { readTasks } from '../linux/proc/tasks.ts';
import { readTimers, type PosixTimer } from '../linux/proc/timers.ts';
import { clockOwner, isCpuClock, knownClocks } from './clock-id.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';
import { TimerRebuild } from './timer-rebuild.ts';

export interface Timer {
  readonly id: number;
  /** As timer_create takes it: CLOCK_*, or a negative number for processor time (man 3 clock_getcpuclockid). */
  readonly clock: number;
  readonly notify: PosixTimer['notify'];
  /** SIGEV_THREAD_ID: the thread that gets the signal. */
  readonly thread?: number | undefined;
  readonly signal: number;
  /** sigev_value. */
  readonly value: bigint;
  /** Nanoseconds; 0: it fires once. */
  readonly interval: bigint;
  /** Nanoseconds until it fires; 0 is not armed. */
  readonly remaining: bigint;
  /** What timer_getoverrun says of the last signal that was taken. */
  readonly overrun: number;
}

export interface PosixTimers {
  readonly timers: readonly Timer[];
}

const perRecord = 4096;

const record: RecordKind<PosixTimers> = defineKind<PosixTimers>({
  tag: 0xc3,
  name: 'posix-timers',
  parents: ['task'],
  schema: s.record({
    timers: s.array(
      s.record({
        id: s.uint(0x7fff_ffff),
        clock: s.int(),
        notify: s.oneOf('signal', 'none', 'thread'),
        thread: s.optional(s.uint(0x7fff_ffff)),
        signal: s.uint(64),
        value: s.hex(s.u64()),
        interval: s.u64(),
        remaining: s.u64(),
        overrun: s.uint(0x7fff_ffff),
      }),
      perRecord,
    ),
  }),
});

const billion = 1_000_000_000n;

export function collectPosixTimers(collection: Collection): ImageNode[] {
  const { pid, injector, stopped, blockers } = collection;
  const found = readTimers(pid);
  if (found === undefined) return assertNoTimers(collection);
  const tids = readTasks(pid);
  const timers = found.map(({ id, clock, notify, target, pid: tid, signal, value }) => {
    const reason = cannotCarry(clock, pid, tids);
    if (reason !== undefined) {
      const remedy = 'Checkpoint the program while it has no such timer';
      blockers.push({ object: `POSIX timer ${id}`, place: `clock ${clock}`, reason, remedy });
    }
    injector.mustCall('timer_gettime', [id, injector.scratch]);
    const read = itimerspec.read(injector.readScratch(itimerspec.size));
    const left = read['it_value.tv_sec'] * billion + read['it_value.tv_nsec'];
    const since = left > 0n && !isCpuClock(clock) ? process.hrtime.bigint() - stopped : 0n;
    return {
      id,
      clock,
      notify,
      thread: target === 'tid' ? tid : undefined,
      signal,
      value,
      interval: read['it_interval.tv_sec'] * billion + read['it_interval.tv_nsec'],
      remaining: left + since,
      overrun: Number(injector.mustCall('timer_getoverrun', [id])),
    };
  });
  timers.sort((a, b) => a.id - b.id);
  const nodes: ImageNode[] = [];
  for (let at = 0; at < timers.length; at += perRecord) nodes.push(node(record, { timers: timers.slice(at, at + perRecord) }));
  return nodes;
}

function cannotCarry(clock: number, pid: number, tids: readonly number[]): string | undefined {
  if (clock >= 0) return knownClocks.has(clock) ? undefined : 'timers of this clock are not supported';
  const owner = clockOwner(clock);
  if (owner === undefined) return 'timers of a clock device are not supported';
  if (owner.id === 0) {
    const which = owner.perThread && tids.length > 1;
    return which ? 'the kernel does not tell which of several threads it measures the processor time of' : undefined;
  }
  const own = owner.perThread ? tids.includes(owner.id) : owner.id === pid;
  return own ? undefined : 'it measures the processor time of another process';
}

/** Where the kernel lists no timers (no CONFIG_CHECKPOINT_RESTORE), their ids, which are handed out in order, are tried. */
function assertNoTimers({ injector, blockers }: Collection): [] {
  for (let id = 0; id < 64; id++) {
    if (injector.call('timer_gettime', [id, injector.scratch]) < 0n) continue;
    blockers.push({
      object: `POSIX timer ${id}`,
      place: '',
      reason: 'this kernel does not tell its clock and its signal (/proc/PID/timers is missing)',
      remedy: 'Checkpoint the program while it has no timer, or use a kernel with CONFIG_CHECKPOINT_RESTORE',
    });
  }
  return [];
}

export const posixTimers: ObjectKind<PosixTimers> = {
  record,
  title: 'POSIX timers',
  carried:
    'Id, clock (processor time included), signal, value, notification, thread, interval, the time that is left, overruns, a signal that waits.',
  refused: 'Clock devices; processor time of another process, or of one of several threads where the timer does not name it.',

  restart({ timers }, rebuild) {
    const { finals } = rebuild;
    const rebuilt = timers.map((timer) => new TimerRebuild(timer, rebuild));
    for (const one of rebuilt) finals.timers.set(one.timer.id, one);
    if (finals.timers.size > timers.length) return; // the first of several records does the work of all
    finals.calls.push(() => TimerRebuild.create([...finals.timers.values()], rebuild));
    finals.armCalls.push(() => finals.timers.forEach((one) => one.arm()));
  },
};
