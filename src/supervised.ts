/** Whether a task runs under `stasis run`. */
import { readdirSync } from 'node:fs';
import { readCmdline } from './linux/proc/memory-texts.ts';
import { readStat } from './linux/proc/stat.ts';
import type { Status } from './linux/proc/status.ts';

/** The argument that marks a supervisor; the pid of the program it serves follows. */
export const supervisorMark = '--supervise';

/**
 * checkpoint and restart are served to the task, by a supervisor of it or of one of its ancestors. Who has lost its parent, or is
 * a copy of somebody (branch.ts), still has the session or the process group of the program that is served.
 */
export function isSupervised(pid: number, { seccompFilters = 0 }: Pick<Status, 'seccompFilters'>): boolean {
  if (seccompFilters === 0) return false;
  const served = new Set<number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const root = supervisedBy(Number(name));
    if (root !== undefined) served.add(root);
  }
  if (served.size === 0) return false;
  for (let at = pid; at > 1;) {
    if (served.has(at)) return true;
    try {
      const { ppid, pgrp, sid } = readStat(at);
      if (served.has(pgrp) || served.has(sid)) return true;
      at = ppid;
    } catch {
      return false;
    }
  }
  return false;
}

function supervisedBy(pid: number): number | undefined {
  try {
    const words = readCmdline(pid);
    const at = words.indexOf(supervisorMark);
    return at < 0 ? undefined : Number(words[at + 1]);
  } catch {
    return undefined; // it has ended, or is not ours to look at
  }
}
