/** Whether a task runs under `stasis run`, and whether it has seccomp filters besides the one of `stasis run`. */
import { readdirSync } from 'node:fs';
import type { Blocker } from './errors.ts';
import { readCmdline } from './linux/proc/memory-texts.ts';
import { readStat } from './linux/proc/stat.ts';
import { readStatus, type Status } from './linux/proc/status.ts';

/** The argument that marks a supervisor; the pid of the program it serves follows. */
export const supervisorMark = '--supervise';

const SECCOMP_MODE_STRICT = 1;

export interface SeccompSituation {
  /** checkpoint and restart are served to the task. */
  readonly supervised: boolean;
  readonly blockers: readonly Blocker[];
}

/**
 * Filters that we live under ourselves (those of a container) will be there after a restart too. What a task has
 * beyond them must be ours.
 */
export function seccompSituation(pid: number, status: Status): SeccompSituation {
  const filters = status.seccompFilters ?? 0;
  const supervised = filters > 0 && isSupervised(pid);
  const own = readStatus(process.pid).seccompFilters ?? 0;
  const foreign = filters - own - (supervised && own === 0 ? 1 : 0);
  if (status.seccomp === SECCOMP_MODE_STRICT || foreign > 0) {
    const blocker: Blocker = {
      object: 'seccomp',
      place: status.seccomp === SECCOMP_MODE_STRICT ? 'strict mode' : `${foreign} filters`,
      reason: 'seccomp filters of the program are not supported yet',
      remedy: 'Run the program without its sandbox',
    };
    return { supervised, blockers: [blocker] };
  }
  return { supervised, blockers: [] };
}

function isSupervised(pid: number): boolean {
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
      at = readStat(at).ppid;
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
