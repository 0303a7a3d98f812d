/** Clock ids of processor time, which encode a process or thread. Source: include/linux/posix-timers_types.h. */

/** REALTIME, MONOTONIC, BOOTTIME, REALTIME_ALARM, BOOTTIME_ALARM, TAI: the same on every machine. */
export const knownClocks: ReadonlySet<number> = new Set([0, 1, 7, 8, 9, 11]);

const PERTHREAD = 4;
const CLOCKFD = 3;

export interface ClockOwner {
  /** The process or thread; 0 is the one that made the timer. */
  readonly id: number;
  readonly perThread: boolean;
}

export function isCpuClock(clock: number): boolean {
  return clock < 0;
}

/** Whose time a processor time clock measures; undefined for the clock of a device. */
export function clockOwner(clock: number): ClockOwner | undefined {
  if ((clock & 3) === CLOCKFD) return undefined;
  return { id: ~(clock >> 3), perThread: (clock & PERTHREAD) !== 0 };
}

/** The same clock of another process or thread. */
export function clockOf(clock: number, id: number): number {
  return (~id << 3) | (clock & 7);
}
