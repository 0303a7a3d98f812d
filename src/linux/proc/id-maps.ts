/** Which ids a task's user namespace knows: /proc/PID/uid_map, gid_map, setgroups (`man 7 user_namespaces`). */
import { readProcTextIfPresent } from './read.ts';

export interface IdRange {
  /** The first id inside the namespace. */
  readonly inside: number;
  readonly length: number;
}

export function parseIdMap(text: string): IdRange[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.trim().split(/\s+/).map(Number))
    .map(([inside = 0, , length = 0]) => ({ inside, length }));
}

/** True without user namespaces in the kernel. */
export function mapsAll(pid: number, name: 'uid_map' | 'gid_map', ids: readonly number[]): boolean {
  const text = readProcTextIfPresent(pid, name);
  if (text === undefined) return true;
  const ranges = parseIdMap(text);
  return ids.every((id) => ranges.some(({ inside, length }) => id >= inside && id < inside + length));
}

export function maySetGroups(pid: number): boolean {
  return readProcTextIfPresent(pid, 'setgroups')?.trim() !== 'deny';
}
