/**
 * A task that does an errand in the place of a stopped task: it is made by that task and shares its memory, so that it can
 * ask the kernel for what only a task of this address space may, but it has no descriptors, and it ends when the errand
 * is done. Nothing of it can be seen from the task: it has no exit signal, and the task waits for it (__WALL) before it
 * runs on. Should we die in the middle, it is killed (PTRACE_O_EXITKILL) or ends itself, and the healing of the task waits
 * for it; see `clone` in arch/asm. All that is left are the statistics of ended children (RUSAGE_CHILDREN). Source:
 * man 2 clone, man 2 ptrace, kernel/exit.c.
 */
import { errnoName } from '../linux/errno.ts';
import { syscallError } from '../linux/ffi.ts';
import { mustPtrace, PTRACE, PTRACE_O } from '../linux/ptrace.ts';
import type { SyscallName } from '../linux/syscalls.ts';
import type { Injector } from './injector.ts';
import { Tracee } from './tracee.ts';

export const CLONE = { VM: 0x100, FS: 0x200, FILES: 0x400, SIGHAND: 0x800 } as const;
const WALL = 0x40000000;
const CLOSE_RANGE_UNSHARE = 2;

/** Why it could not be done, for people. */
export interface Refused {
  readonly refused: string;
}

/** Runs `work` with such a task. The task that made it is as before, whatever comes of it. */
export function withErrand<T extends object>(tracee: Tracee, injector: Injector, work: (errand: Tracee) => T): T | Refused {
  const { options } = tracee;
  if ((options & PTRACE_O.SUSPEND_SECCOMP) !== 0) return { refused: 'its seccomp filters might not let it heal by itself' };
  setOptions(tracee, options | PTRACE_O.TRACECLONE);
  try {
    const { VM, FS, FILES, SIGHAND } = CLONE;
    const made = clone(tracee, injector, VM | FS | FILES | SIGHAND);
    if ('refused' in made) return made;
    try {
      setOptions(made.task, PTRACE_O.TRACESYSGOOD | PTRACE_O.TRACECLONE | PTRACE_O.EXITKILL);
      withoutDescriptors(made.task, injector);
      return work(made.task);
    } finally {
      end(made.task);
      if (tracee.attached) injector.call('wait4', [made.ownPid, 0, WALL, 0]);
    }
  } finally {
    if (tracee.attached) setOptions(tracee, options);
  }
}

/** Ends a task of ours, and waits until it has. */
export function end(task: Tracee): void {
  task.sendKill();
  task.reap();
}

/** Its own table without any entry: none is copied, so nobody's file is held open or closed. Source: fs/file.c (close_range). */
function withoutDescriptors(task: Tracee, injector: Injector): void {
  callIn(task, injector, 'close_range', [0, 0xffff_ffff, CLOSE_RANGE_UNSHARE]);
}

interface Newborn {
  readonly task: Tracee;
  /** Its pid as its maker sees it. */
  readonly ownPid: bigint;
}

/** A clone without exit signal, on the same stack, which nobody touches; it stands before its first instruction. */
export function clone(tracee: Tracee, injector: Injector, flags: number): Newborn | Refused {
  const { architecture } = tracee;
  const parameters = [flags, 0, 0, 0, 0];
  tracee.setRegisters(
    architecture.syscallAt(tracee.getRegisters(), injector.cloneInstruction, architecture.syscalls.clone, parameters),
  );
  tracee.resumeToSyscallStop();
  const pid = tracee.resumeIntoClone();
  if (pid === undefined) return { refused: `clone answers ${errnoName(Number(architecture.result(tracee.getRegisters())))}` };
  const task = Tracee.newborn(pid, architecture);
  tracee.resumeToSyscallStop();
  return { task, ownPid: architecture.result(tracee.getRegisters()) };
}

/** A call made by a task that {@link clone} gave. */
export function callIn(
  task: Tracee,
  { cloneInstruction }: Injector,
  name: SyscallName,
  parameters: readonly (number | bigint)[],
): bigint {
  const { architecture } = task;
  task.setRegisters(architecture.syscallAt(task.getRegisters(), cloneInstruction, architecture.syscalls[name], parameters));
  task.resumeToSyscallStop();
  task.resumeToSyscallStop();
  const result = architecture.result(task.getRegisters());
  if (result < 0n) throw syscallError(name, Number(result), `Cannot prepare the reading of the memory`);
  return result;
}

function setOptions({ tid }: Tracee, options: number): void {
  mustPtrace(PTRACE.SETOPTIONS, tid, `Cannot watch the clones of ${tid}`, 0, options);
}
