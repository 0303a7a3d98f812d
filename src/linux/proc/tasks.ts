/** The threads and the children of a process (`man 5 proc_pid_task`, proc_tid_children). */
import { listProc, readProcText, readProcTextIfPresent } from './read.ts';
import { integer } from './scan.ts';

/** The thread ids in ascending order, the leader's among them. */
export function readTasks(pid: number): number[] {
  return listProc(pid, 'task')
    .map(Number)
    .sort((a, b) => a - b);
}

export function parseChildren(text: string): number[] {
  const words = text.trim();
  return words === '' ? [] : words.split(' ').map((word) => integer('children', word));
}

/**
 * The children that this one thread made, zombies among them, in the order of their making. Reliable only while they are
 * all stopped; none of a thread that has ended. Needs CONFIG_PROC_CHILDREN (PRIVILEGE without it).
 */
export function readChildren(pid: number, tid: number = pid): number[] {
  const text = readProcTextIfPresent(pid, `task/${tid}/children`);
  if (text !== undefined) return parseChildren(text);
  if (readTasks(pid).includes(tid)) readProcText(pid, `task/${tid}/children`); // says that the kernel lacks it
  return [];
}
