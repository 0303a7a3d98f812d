/** Which processes have which pipe open: the kernel tells of no pipe who has its ends. */
import { readdirSync } from 'node:fs';
import { readFds } from './fds.ts';
import { readChildren, readTasks } from './tasks.ts';

/** Processes by the inode of a pipe. */
export type PipeHolders = ReadonlyMap<bigint, readonly number[]>;

/**
 * Everybody's pipes, so far as we may look, if the process or one below it has any. It takes a while, so it is done before
 * anything is stopped; a pipe that is made later cannot have come far.
 */
export function findPipeHolders(root: number): PipeHolders {
  const holders = new Map<bigint, number[]>();
  const wanted = new Set(descendants(root).flatMap(pipesOf));
  if (wanted.size === 0) return holders;
  for (const pid of allProcesses()) {
    for (const ino of new Set(pipesOf(pid))) {
      if (!wanted.has(ino)) continue;
      const list = holders.get(ino);
      if (list === undefined) holders.set(ino, [pid]);
      else list.push(pid);
    }
  }
  return holders;
}

function allProcesses(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

function pipesOf(pid: number): bigint[] {
  return orNothing(() => readFds(pid)).flatMap(({ link }) => {
    const ino = /^pipe:\[(\d+)\]$/.exec(link)?.[1];
    return ino === undefined ? [] : [BigInt(ino)];
  });
}

function descendants(root: number): number[] {
  const found = [root];
  for (const pid of found) found.push(...orNothing(() => readTasks(pid).flatMap((tid) => readChildren(pid, tid))));
  return found;
}

/** Of a process that has ended meanwhile or is closed to us, nothing. */
function orNothing<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return [];
  }
}
