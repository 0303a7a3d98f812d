/** What processes can share without being threads of one another. Source: man 2 clone, man 2 kcmp. */
import type { Blocker } from '../errors.ts';
import { compareResources, type Resource } from '../linux/descriptors.ts';
import type { Stat } from '../linux/proc/stat.ts';

const shareable: readonly (readonly [Resource, string])[] = [
  ['VM', 'its address space (CLONE_VM, vfork)'],
  ['FILES', 'its descriptor table (CLONE_FILES)'],
  ['FS', 'its working directory and umask (CLONE_FS)'],
  ['SIGHAND', 'its signal handlers (CLONE_SIGHAND)'],
];

/** Each process is compared with its parent: who shares nothing with that one got nothing to share with others. */
export function sharedThings(
  processes: readonly { readonly pid: number; readonly leader: { readonly stat: Stat } }[],
): Blocker[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  return processes.flatMap(({ pid, leader }) => {
    const { ppid, comm } = leader.stat;
    if (!pids.has(ppid)) return [];
    return shareable
      .filter(([resource]) => compareResources(pid, ppid, resource) === 0)
      .map(([, what]) => ({
        object: `process ${pid}`,
        place: comm,
        reason: `it shares ${what} with its parent ${ppid}`,
        remedy: 'Wait until it has executed a program of its own, or ended',
      }));
  });
}
