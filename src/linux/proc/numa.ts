/** On which memory nodes the pages of mappings shall lie (`man 5 numa_maps`, `man 7 numa`). */
import { readFileSync } from 'node:fs';
import { readProcText } from './read.ts';

/** More than one node: else no policy makes a difference. */
export function hasMemoryNodes(online: string = readOnline()): boolean {
  return /[-,]/.test(online);
}

function readOnline(): string {
  try {
    return readFileSync('/sys/devices/system/node/has_memory', 'utf8').trim();
  } catch {
    return '0'; // a kernel without CONFIG_NUMA
  }
}

/** Start address, hexadecimal, and policy of each mapping that has one of its own. */
export function parsePolicies(text: string): { start: string; policy: string }[] {
  return [...text.matchAll(/^([0-9a-f]+) (\S+)/gm)].flatMap(([, start = '', policy = '']) =>
    policy === 'default' ? [] : [{ start, policy }],
  );
}

export function readPolicies(pid: number): { start: string; policy: string }[] {
  return parsePolicies(readProcText(pid, 'numa_maps'));
}
