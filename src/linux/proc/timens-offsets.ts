/** /proc/PID/timens_offsets: what a time namespace adds to two clocks of the machine (`man 7 time_namespaces`). */
import { writeFileSync } from 'node:fs';
import { procPath, readProcTextIfPresent } from './read.ts';
import { malformed } from './scan.ts';

/** Nanoseconds. */
export interface ClockOffsets {
  readonly monotonic: bigint;
  readonly boottime: bigint;
}

const billion = 1_000_000_000n;

export function parseClockOffsets(text: string): ClockOffsets {
  const offsetOf = (name: string): bigint => {
    const [, seconds, nanoseconds] = new RegExp(`^${name} +(-?\\d+) +(\\d+)$`, 'm').exec(text) ?? [];
    if (seconds === undefined || nanoseconds === undefined) return malformed('timens_offsets', text);
    return BigInt(seconds) * billion + BigInt(nanoseconds);
  };
  return { monotonic: offsetOf('monotonic'), boottime: offsetOf('boottime') };
}

/** Of the namespace of the task's children, which is mostly its own. Undefined without CONFIG_TIME_NS. */
export function readClockOffsets(pid: number): ClockOffsets | undefined {
  const text = readProcTextIfPresent(pid, 'timens_offsets');
  return text === undefined ? undefined : parseClockOffsets(text);
}

/** Sets those of a namespace that no task is in yet. Takes CAP_SYS_TIME in its user namespace. */
export function writeClockOffsets(pid: number, offsets: ClockOffsets): void {
  const line = (name: string, offset: bigint): string => {
    const seconds = (offset - (((offset % billion) + billion) % billion)) / billion;
    return `${name} ${seconds} ${offset - seconds * billion}\n`;
  };
  writeFileSync(procPath(pid, 'timens_offsets'), line('monotonic', offsets.monotonic) + line('boottime', offsets.boottime));
}
