/**
 * The seccomp filters of a thread, in the order of their installation. That of `stasis run` is not among them, nor those of
 * the container that Stasis lives in itself: both will be there again. Source: man 2 seccomp, man 2 ptrace.
 */
import { StasisError, type Blocker } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { sock_fprog } from '../linux/abi/seccomp.ts';
import { allows, notifies } from '../linux/classic-bpf.ts';
import { readStatus, type Status } from '../linux/proc/status.ts';
import { filterProgram, SECCOMP_SET_MODE_FILTER } from '../linux/seccomp.ts';
import { readFilters, type SeccompFilter } from '../linux/seccomp-filters.ts';
import type { SyscallName } from '../linux/syscalls.ts';
import { areaSize } from '../tracee/batch.ts';
import type { Tracee } from '../tracee/tracee.ts';
import { node, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';
import type { ObjectTable } from './object-table.ts';
import { filterChain, referToFilters, type FilterRecord } from './seccomp-filter.ts';

export interface Seccomp {
  /** objref of the filter that was installed last. */
  readonly filter: number;
}

const record: RecordKind<Seccomp> = defineKind<Seccomp>({
  tag: 0xc6,
  name: 'seccomp',
  parents: ['thread'],
  schema: s.record({ filter: s.objref('seccomp-filter') }),
});

const SECCOMP_MODE_STRICT = 1;
const ourProgram = filterProgram(0n).subarray(sock_fprog.size);

const remedy = 'Run the program without its sandbox';

/**
 * What of its filters a stopped thread must get back. Where there are any, they are suspended for as long as we trace it, so
 * that the calls made in it pass. Nothing may be called in a thread for which this gives a blocker.
 */
export function suspendFilters(tracee: Tracee, status: Status, supervised: boolean): SeccompFilter[] | Blocker {
  const blocker = (place: string, reason: string, help = remedy): Blocker => ({ object: 'seccomp', place, reason, remedy: help });
  if (status.seccomp === SECCOMP_MODE_STRICT)
    return blocker('strict mode', 'a checkpoint that is killed half-way could not be undone without forbidden calls');
  const own = readStatus(process.pid).seccompFilters ?? 0;
  const count = (status.seccompFilters ?? 0) - own;
  if (count <= 0 || (supervised && own === 0 && count === 1)) return [];
  const filters = readFilters(tracee.tid);
  if (filters === undefined || !tracee.suspendSeccomp()) {
    const help = 'Checkpoint it as root, outside of any container, on a kernel with CONFIG_CHECKPOINT_RESTORE';
    return blocker(`${count} filters`, 'reading filters needs CAP_SYS_ADMIN in the first user namespace', help);
  }
  if (supervised && filters[0] !== undefined && Buffer.compare(filters[0].program, ourProgram) === 0) filters.shift();
  if (filters.some(({ program }) => notifies(program)))
    return blocker('user notification', 'another process answers its calls, which it would not do after a restart');
  // Should we die, the thread must undo what we did by itself, with its filters in force again.
  const forbidden = (['munmap', 'rt_sigprocmask'] as const).find((name) => !pass(filters, tracee, name, []));
  if (forbidden === undefined) return filters;
  return blocker(`${forbidden} is forbidden`, 'a checkpoint that is killed half-way could not be undone without this call');
}

/** Whether the filters let the thread make a call by itself, which it does as its program would. */
function pass(filters: readonly SeccompFilter[], tracee: Tracee, name: SyscallName, parameters: readonly bigint[]): boolean {
  const { numbers, audit } = tracee.architecture.abi;
  const nr = numbers[name];
  if (nr === undefined) throw new RangeError(`the program has no system call ${name}`);
  const call = { nr, arch: audit, instructionPointer: 0n, parameters };
  return filters.every(({ program }) => allows(program, call));
}

export function collectSeccomp(objects: ObjectTable, filters: readonly SeccompFilter[]): ImageNode[] {
  if (filters.length === 0) return [];
  const { objref, before } = referToFilters(objects, filters);
  return [...before, node(record, { filter: objref })];
}

export const seccomp: ObjectKind<Seccomp> = {
  record,
  title: 'Seccomp',
  carried: 'All filters in their order, read from outside. Needs CAP_SYS_ADMIN in the first user namespace.',
  refused: 'Strict mode; filters that a listener answers, that forbid munmap or rt_sigprocmask, or that may not be read.',

  /**
   * With CAP_SYS_ADMIN the filters are suspended while we trace the thread, and come before it loses the right to install
   * them. Without, they come when all other calls have been made.
   */
  restart({ filter }, rebuild) {
    const { finals, thread } = rebuild;
    const chain = filterChain(rebuild, filter);
    finals.filters.set(thread.formerTid, filter);
    thread.calls.push(() => {
      if (rebuild.tracee.suspendSeccomp()) install(chain, filter, rebuild);
      else thread.locks.push(() => installLast(chain, rebuild));
    });
  },
};

const SECCOMP_FILTER_FLAG_TSYNC = 1;
const SECCOMP_FILTER_FLAG_LOG = 2;

/** The leader comes last: filters that all threads share are installed by it for all, which keeps them shared. */
function install(chain: readonly FilterRecord[], filter: number, rebuild: Rebuild): void {
  const { finals, threadIds } = rebuild;
  const shared = threadIds.size > 1 && [...threadIds.keys()].every((tid) => finals.filters.get(tid) === filter);
  const leader = threadIds.get(finals.pid ?? 0) === rebuild.tracee.tid;
  if (shared && !leader) return;
  for (const { program, log } of chain) {
    rebuild.room(1, program.length + 64);
    const { batch } = rebuild;
    const parameters = batch.data(sock_fprog.make({ len: program.length / 8, filter: batch.data(program) }));
    const flags = (log ? SECCOMP_FILTER_FLAG_LOG : 0) | (shared ? SECCOMP_FILTER_FLAG_TSYNC : 0);
    batch.add('install a seccomp filter', 'seccomp', [SECCOMP_SET_MODE_FILTER, flags, parameters]);
  }
}

function installLast(chain: readonly FilterRecord[], rebuild: Rebuild): void {
  const { area, tracee, notes } = rebuild;
  if (!pass(chain, tracee, 'munmap', [area.code, BigInt(areaSize)])) {
    throw new StasisError('RESTART_FAILED', 'Cannot restart: a seccomp filter of the program forbids munmap', {
      phase: 'restore',
      hint: 'Restart it as root, which may suspend the filters until the program is whole.',
    });
  }
  if (!readStatus(tracee.tid).noNewPrivs) {
    const PR_SET_NO_NEW_PRIVS = 38;
    area.mustCall('set no_new_privs', 'prctl', [PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0]);
    notes.push('no_new_privs is set now: without CAP_SYS_ADMIN the seccomp filters of the program need it.');
  }
  for (const { program, log } of chain) {
    const at = area.place(Buffer.concat([new Uint8Array(sock_fprog.size), program]));
    area.place(sock_fprog.make({ len: program.length / 8, filter: at + BigInt(sock_fprog.size) }));
    const flags = log ? SECCOMP_FILTER_FLAG_LOG : 0;
    area.mustCall('install a seccomp filter', 'seccomp', [SECCOMP_SET_MODE_FILTER, flags, at]);
  }
}
