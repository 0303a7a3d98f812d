/** /proc/PID/sched (kernel/sched/debug.c: proc_sched_show_task). */
import { readProcTextIfPresent } from './read.ts';

/**
 * When the task was last put on a CPU or accounted there, in ms of its CPU's scheduler clock (near to CLOCK_MONOTONIC);
 * undefined when the text does not say.
 */
export function parseExecStart(text: string): number | undefined {
  const match = /^se\.exec_start\s*:\s*(-?\d+(?:\.\d+)?)$/m.exec(text);
  return match === null ? undefined : Number(match[1]);
}

/** Undefined when the kernel was built without CONFIG_SCHED_DEBUG. */
export function readExecStart(tid: number): number | undefined {
  const text = readProcTextIfPresent(tid, 'sched');
  return text === undefined ? undefined : parseExecStart(text);
}
