/** /proc/PID/timers (`man 5 proc_pid_timers`, fs/proc/base.c: show_timer): the POSIX timers of a process. */
import { readProcTextIfPresent } from './read.ts';
import { malformed } from './scan.ts';

export interface PosixTimer {
  readonly id: number;
  readonly signal: number;
  /** si_value, as a pointer. */
  readonly value: bigint;
  /** SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD. */
  readonly notify: 'signal' | 'none' | 'thread';
  /** `tid`: SIGEV_THREAD_ID was given, and only that thread gets the signal. */
  readonly target: 'pid' | 'tid';
  readonly pid: number;
  /** CLOCK_* of linux/time.h, or a negative number that encodes a process's or a descriptor's clock. */
  readonly clock: number;
}

const entry = new RegExp(
  String.raw`^ID: (\d+)\nsignal: (\d+)/(?:0x)?([0-9a-f]+|\(null\))\n` +
    String.raw`notify: (signal|none|thread)/(pid|tid)\.(-?\d+)\nClockID: (-?\d+)\n`,
);

export function parseTimers(text: string): PosixTimer[] {
  const timers: PosixTimer[] = [];
  for (let rest = text; rest !== '';) {
    const match = entry.exec(rest);
    if (match === null) return malformed('timers', rest);
    const [whole, id, signal, value = '', notify, target, pid, clock] = match;
    timers.push({
      id: Number(id),
      signal: Number(signal),
      value: value === '(null)' ? 0n : BigInt(`0x${value}`),
      notify: notify as PosixTimer['notify'],
      target: target as PosixTimer['target'],
      pid: Number(pid),
      clock: Number(clock),
    });
    rest = rest.slice(whole.length);
  }
  return timers;
}

/** Undefined when the kernel does not tell (built without CONFIG_CHECKPOINT_RESTORE or CONFIG_POSIX_TIMERS). */
export function readTimers(pid: number): PosixTimer[] | undefined {
  const text = readProcTextIfPresent(pid, 'timers');
  return text === undefined ? undefined : parseTimers(text);
}
