/**
 * What cannot be carried yet, as a list of checks. A later version removes a check when it adds the object kind that
 * makes it unnecessary.
 */
import type { Blocker } from '../errors.ts';
import { readNamespaces } from '../linux/proc/links.ts';
import { hasMemoryNodes, readPolicies } from '../linux/proc/numa.ts';
import type { Status } from '../linux/proc/status.ts';

/** Checks that only read /proc. */
const checks: readonly ((pid: number, status: Status) => Blocker[])[] = [namespaces, memoryPolicies];

/** All that stands in the way and can be seen without running anything in the target. */
export function collectRefusals(pid: number, status: Status): Blocker[] {
  return checks.flatMap((check) => check(pid, status));
}

/** Policies of mbind and set_mempolicy; looked for only where there are nodes to choose from. */
function memoryPolicies(pid: number): Blocker[] {
  if (!hasMemoryNodes()) return [];
  return readPolicies(pid).map(({ start, policy }) => ({
    object: `vma ${start}`,
    place: '',
    reason: `its memory policy ${policy} is not supported yet`,
    remedy: 'Run the program without mbind, set_mempolicy and numactl',
  }));
}

/** Of the namespaces only those count in which the program's own view of things would change. */
function namespaces(pid: number): Blocker[] {
  const own = readNamespaces(process.pid);
  return [...readNamespaces(pid)]
    .filter(([name, inode]) => own.has(name) && own.get(name) !== inode && !timeIsCarried(name, pid))
    .map(([name]) => ({
      object: `${name} namespace`,
      place: '',
      reason: 'the program is in another namespace than stasis',
      remedy: 'Run stasis inside the same namespaces (nsenter)',
    }));
}

/** A time namespace of its own is carried (clocks.ts), if its children are in it too: only theirs tells its offsets. */
function timeIsCarried(name: string, pid: number): boolean {
  if (!name.startsWith('time')) return false;
  const namespaces = readNamespaces(pid);
  return namespaces.get('time') === namespaces.get('time_for_children');
}
