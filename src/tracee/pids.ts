/** Process and thread ids at a restart: the former ones, or new ones. Source: man 2 clone3 (set_tid), man 7 pid_namespaces. */
import { readdirSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { errno } from '../linux/errno.ts';
import { readStat } from '../linux/proc/stat.ts';
import { readStatus } from '../linux/proc/status.ts';
import { saysVanished } from './tracee.ts';

/** Throws for the first of these ids that is in use, naming its holder. */
export function assertPidsFree(ids: readonly number[]): void {
  for (const id of ids) {
    const holder = holderOf(id);
    if (holder !== undefined) throw taken(id, holder);
  }
  const wanted = new Set(ids);
  for (const pid of processes()) {
    const stat = unlessVanished(() => readStat(pid));
    if (stat === undefined) continue;
    const { comm, pgrp, sid } = stat;
    if (wanted.has(pgrp)) throw taken(pgrp, `as the process group of ${pid} (${comm})`);
    if (wanted.has(sid)) throw taken(sid, `as the session of ${pid} (${comm})`);
  }
}

/** The error for an id that the kernel did not give: `result` is minus the errno. */
export function pidRefused(id: number, result: number): StasisError {
  if (result === -errno.EEXIST) return taken(id, holderOf(id) ?? 'by a process that has just ended');
  if (result === -errno.EPERM) {
    return new StasisError('PRIVILEGE', `Cannot restart with the same process ids: the kernel does not let us choose them`, {
      phase: 'restore',
      hint: 'Choosing ids needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN (Linux 5.9). Restart with --pids new to get new ones.',
    });
  }
  if (result === -errno.ENOSYS) {
    return new StasisError('PRIVILEGE', `Cannot restart with the same process ids: clone3 is not available`, {
      phase: 'restore',
      hint: 'Linux 5.5 has it; the seccomp filter of a container may hide it. Restart with --pids new to get new ones.',
    });
  }
  return new StasisError('RESTART_FAILED', `Cannot restart with the same process ids: ${id} answered errno ${-result}`, {
    phase: 'restore',
    hint: 'It may be above kernel.pid_max. Restart with --pids new to get new ones.',
  });
}

function taken(id: number, holder: string): StasisError {
  return new StasisError('RESTART_FAILED', `Cannot restart with the same process ids: ${id} is in use ${holder}`, {
    phase: 'restore',
    hint: 'Wait until it has ended, or restart with --pids new to get new ids.',
  });
}

/** /proc answers for a thread too, although it does not list it (man 5 proc_pid). */
function holderOf(id: number): string | undefined {
  const status = unlessVanished(() => readStatus(id));
  if (status === undefined) return undefined;
  const { name, tgid, state, ppid } = status;
  if (state === 'Z' && tgid === id) return `by process ${id} (${name}), which has ended and waits for its parent ${ppid}`;
  return tgid === id ? `by process ${id} (${name})` : `by a thread of process ${tgid} (${name})`;
}

function processes(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

function unlessVanished<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (saysVanished(error)) return undefined;
    throw error;
  }
}
