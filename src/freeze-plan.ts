/** In which way the memory of a process gets into the image while it is stopped as short as can be. */
import type { KnownVmas } from './known-vmas.ts';
import { readFdInfo } from './linux/proc/fdinfo.ts';
import { readFds } from './linux/proc/fds.ts';
import { readSmaps, type SmapsVma } from './linux/proc/smaps.ts';
import { readStatus } from './linux/proc/status.ts';
import { readChildren, readTasks } from './linux/proc/tasks.ts';
import { saysVanished } from './tracee/tracee.ts';

/**
 * `stop`: it is written while the process is stopped. `fork`: the kernel copies it as for a fork, the copy is written while the process
 * runs on.
 * `precopy`: it is copied while the process runs, and in a stop what was written since.
 */
export type FreezeMode = 'stop' | 'fork' | 'precopy';

export interface FreezePlan {
  readonly mode: FreezeMode;
  /** For people. */
  readonly reason: string;
  /** The mappings before the stop, so that nobody has to look at them during it. */
  readonly known?: KnownVmas;
}

/** Memory that is copied in less time than a fork and the steps around it take. */
const smallKb = 16 << 10;

export function planFreeze(pid: number, wanted: FreezeMode | 'auto', after: 'continue' | 'kill' | 'stop'): FreezePlan {
  if (wanted === 'stop') return { mode: 'stop', reason: 'asked for' };
  if (after !== 'continue') return { mode: 'stop', reason: 'the process does not run on afterwards' };
  const pids = treeBelow(pid);
  const kb = pids.reduce((sum, each) => sum + (ifThere(() => readStatus(each).anonymousKb) ?? 0), 0);
  if (wanted === 'fork' || wanted === 'precopy') return { mode: wanted, reason: 'asked for', known: knownNow(pids) };
  const size = `${(kb / 1024).toFixed(kb < 10_240 ? 1 : 0)} MiB of memory`;
  if (kb <= smallKb) return { mode: 'stop', reason: `${size} is soon copied` };
  const known = knownNow(pids);
  // A fork copies page tables: huge pages have few.
  const huge = [...known.values()].flat().reduce((sum, { sizes }) => sum + sizes.AnonHugePages, 0);
  const mode = pids.length === 1 && kb - huge > largeKb && !usesDirect(pid) ? 'precopy' : 'fork';
  return { mode, reason: size, known };
}

/** Page tables that take longer to copy than it takes to find what was written: 10 ms. */
const largeKb = 640 << 10;

/** What a device or another process writes through pages that were pinned before is not noticed. Source: man 2 open (O_DIRECT). */
function usesDirect(pid: number): boolean {
  const O_DIRECT = 0o40000;
  return ifThere(() => readFds(pid).some(({ fd }) => (readFdInfo(pid, fd).flags & O_DIRECT) !== 0)) ?? false;
}

function knownNow(pids: readonly number[]): KnownVmas {
  const known = new Map<number, SmapsVma[]>();
  for (const pid of pids) {
    const vmas = ifThere(() => readSmaps(pid));
    // Of shared memory without a file it counts what is in swap (vma-shared-memory.ts), and that is not to be a moment old.
    if (vmas !== undefined && !vmas.some(({ shared, deleted }) => shared && deleted)) known.set(pid, vmas);
  }
  return known;
}

/** The process and all below it, as far as they exist long enough. */
function treeBelow(pid: number): number[] {
  const tids = ifThere(() => readTasks(pid)) ?? [];
  const children = tids.flatMap((tid) => ifThere(() => readChildren(pid, tid)) ?? []);
  return [pid, ...children.flatMap(treeBelow)];
}

/** undefined for what has ended. */
function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (saysVanished(error)) return undefined;
    throw error;
  }
}
