/** One POSIX timer being made again, with its id, its phase, and its signal where that waits. */
import { StasisError } from '../errors.ts';
import { sigevent } from '../linux/abi/signal.ts';
import { itimerspec, timespec } from '../linux/abi/time.ts';
import { LocalMemory, mustSyscall, syscall } from '../linux/ffi.ts';
import { readStatus } from '../linux/proc/status.ts';
import { readClockOffsets } from '../linux/proc/timens-offsets.ts';
import { peekSignals } from '../linux/ptrace.ts';
import { pause } from '../tracee/tracee.ts';
import { clockOf, clockOwner, isCpuClock } from './clock-id.ts';
import type { Rebuild } from './object.ts';
import { timerOf } from './pending-signals.ts';
import type { Timer } from './posix-timers.ts';

const PR_TIMER_CREATE_RESTORE_IDS = 77;
const TIMER_ABSTIME = 1;
const SIGEV_NONE = 1;
const SIGEV_THREAD = 2;
const SIGEV_THREAD_ID = 4;
const CAP_WAKE_ALARM = 1n << 35n;
const alarmClocks = new Map([[8, 0], [9, 7]]); // prettier-ignore
/** Without PR_TIMER_CREATE_RESTORE_IDS an id is reached by making all those before it. */
const furthest = 100_000;
const billion = 1_000_000_000n;
/** Milliseconds within which an expired timer has queued its signal, on any machine. */
const patience = 10_000;

export class TimerRebuild {
  readonly timer: Timer;
  readonly #rebuild: Rebuild;
  /** It has been armed in the past, so that its signal waits. */
  #expired = false;

  constructor(timer: Timer, rebuild: Rebuild) {
    this.timer = timer;
    this.#rebuild = rebuild;
  }

  /** Makes all timers of a process. Afterwards their overruns are right, and none is armed but those that have any. */
  static create(timers: readonly TimerRebuild[], rebuild: Rebuild): void {
    const ascending = timers.toSorted((a, b) => a.timer.id - b.timer.id);
    const PR_TIMER_CREATE_RESTORE_IDS_GET = 2;
    const exact = syscall('prctl', PR_TIMER_CREATE_RESTORE_IDS, PR_TIMER_CREATE_RESTORE_IDS_GET) >= 0; // since Linux 6.15
    const set = (on: number): void => {
      rebuild.room(1);
      if (exact) rebuild.batch.add('choose timer ids', 'prctl', [PR_TIMER_CREATE_RESTORE_IDS, on, 0, 0, 0]);
    };
    set(1);
    let next = 0;
    for (const one of ascending) {
      const { id } = one.timer;
      if (!exact) one.#pass(next, id);
      one.#create(id);
      next = id + 1;
    }
    set(0);
    for (const one of ascending) one.#overrun();
  }

  /** Ids are handed out in ascending order: makes those before `id`, and removes them again. */
  #pass(from: number, id: number): void {
    if (id - from > furthest) {
      throw new StasisError('RESTART_FAILED', `Cannot make the POSIX timer ${id}: this kernel cannot give a timer a chosen id`, {
        phase: 'restore',
        hint: 'Restart it on Linux 6.15 or newer.',
      });
    }
    for (let skipped = from; skipped < id; skipped++) {
      this.#add(sigevent.make({ sigev_notify: SIGEV_NONE }), 1, skipped);
      this.#rebuild.room(1);
      this.#rebuild.batch.add('pass over a timer id', 'timer_delete', [skipped]);
    }
  }

  #create(id: number): void {
    const { signal, value, notify, thread } = this.timer;
    const target = thread === undefined ? undefined : this.#rebuild.threadIds.get(thread);
    const gone = thread !== undefined && target === undefined; // its signals reach nobody
    const kind = notify === 'none' || gone ? SIGEV_NONE : notify === 'thread' ? SIGEV_THREAD : 0;
    const event = sigevent.make({
      'sigev_value.sival_ptr': value,
      sigev_signo: signal,
      sigev_notify: kind | (target === undefined ? 0 : SIGEV_THREAD_ID),
      '_sigev_un._tid': target ?? 0,
    });
    this.#add(event, this.#clock(), id);
  }

  #add(event: Uint8Array, clock: number, id: number): void {
    this.#rebuild.room(1, event.length + 64);
    const { batch } = this.#rebuild;
    const place = batch.data(new Uint8Array(Int32Array.of(id).buffer));
    batch.add(`make the POSIX timer ${id}`, 'timer_create', [clock, batch.data(event), place]);
  }

  #clock(): number {
    const { clock, id } = this.timer;
    const { tracee, threadIds, notes } = this.#rebuild;
    const ordinary = alarmClocks.get(clock);
    if (ordinary !== undefined && (readStatus(tracee.tid).capEff & CAP_WAKE_ALARM) === 0n) {
      notes.push(`The POSIX timer ${id} no longer wakes the machine from suspension: that needs CAP_WAKE_ALARM.`);
      return ordinary;
    }
    const owner = isCpuClock(clock) ? clockOwner(clock) : undefined;
    if (owner === undefined || owner.id === 0) return clock;
    return clockOf(clock, owner.perThread ? (threadIds.get(owner.id) ?? 0) : 0);
  }

  /**
   * The count of overruns is set when a signal is taken. So the timer is set to have fired that long ago, and its signal is
   * taken. It is then armed with the right phase.
   */
  #overrun(): void {
    const { overrun, interval, remaining, thread, signal } = this.timer;
    if (overrun === 0 || interval === 0n || remaining === 0n) return;
    const at = this.#now() + remaining - interval * BigInt(overrun + 1);
    if (at <= 0n) {
      this.#rebuild.notes.push(`The POSIX timer ${this.timer.id} no longer tells its last ${overrun} overruns.`);
      return;
    }
    this.#expired = true;
    this.#rebuild.runAs(thread, () => {
      this.#settime(TIMER_ABSTIME, at);
      this.#rebuild.room(1, 64);
      const { batch } = this.#rebuild;
      const set = batch.data(new Uint8Array(BigUint64Array.of(1n << BigInt(signal - 1)).buffer));
      const timeout = batch.data(timespec.make({ tv_sec: BigInt(patience / 1000) }));
      batch.add(`take the signal of POSIX timer ${this.timer.id}`, 'rt_sigtimedwait', [set, 0, timeout, 8]);
    });
  }

  /**
   * Lets the timer fire, so that its signal waits as part of it: taking that starts the next period, and counts those
   * that passed in between. True when the signal waits.
   */
  expire(tid: number, shared: boolean): boolean {
    const { interval, remaining } = this.timer;
    if (this.#expired) return false;
    this.#expired = true;
    const at = isCpuClock(this.timer.clock) || interval === 0n ? 1n : this.#now() + remaining - interval;
    this.#settime(TIMER_ABSTIME, at > 1n ? at : 1n);
    this.#rebuild.flush();
    const waits = (): boolean =>
      peekSignals(tid, shared).some((info) => timerOf({ signal: this.timer.signal, info }) === this.timer.id);
    for (const end = performance.now() + patience; !waits(); pause(1)) {
      if (performance.now() > end)
        throw new StasisError('RESTART_FAILED', `The POSIX timer ${this.timer.id} does not fire`, { phase: 'restore' });
    }
    return true;
  }

  arm(): void {
    if (!this.#expired && this.timer.remaining > 0n) this.#settime(0, this.timer.remaining);
  }

  #settime(flags: number, value: bigint): void {
    const { id, interval } = this.timer;
    this.#rebuild.room(1, itimerspec.size + 16);
    const { batch } = this.#rebuild;
    const setting = itimerspec.make({
      'it_interval.tv_sec': interval / billion,
      'it_interval.tv_nsec': interval % billion,
      'it_value.tv_sec': value / billion,
      'it_value.tv_nsec': value % billion,
    });
    batch.add(`arm the POSIX timer ${id}`, 'timer_settime', [id, flags, batch.data(setting), 0]);
  }

  /** What the timer's clock shows in the task. */
  #now(): bigint {
    const clock = alarmClocks.get(this.timer.clock) ?? this.timer.clock;
    const memory = LocalMemory.scratch('clock', timespec.size);
    mustSyscall('clock_gettime', `Cannot read the clock ${clock}`, clock, memory.address);
    const own = readClockOffsets(process.pid);
    const { clockOffsets } = this.#rebuild.finals;
    const CLOCK_MONOTONIC = 1;
    const CLOCK_BOOTTIME = 7;
    const which = clock === CLOCK_MONOTONIC ? 'monotonic' : clock === CLOCK_BOOTTIME ? 'boottime' : undefined;
    const added = which === undefined ? 0n : (clockOffsets?.[which] ?? 0n) - (own?.[which] ?? 0n);
    return timespec.get(memory.view, 'tv_sec') * billion + timespec.get(memory.view, 'tv_nsec') + added;
  }
}
