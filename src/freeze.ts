/** Stopping a task, and finding out in what state it was. */
import { CannotCarryError, StasisError, type Blocker } from './errors.ts';
import { x86_64 } from './arch/x86_64.ts';
import { readSmaps, type SmapsVma } from './linux/proc/smaps.ts';
import { readStat, type Stat } from './linux/proc/stat.ts';
import { readStatus, type Status } from './linux/proc/status.ts';
import { getRseqConfiguration, PTRACE } from './linux/ptrace.ts';
import { errno, restartErrno } from './linux/errno.ts';
import { LocalMemory } from './linux/ffi.ts';
import { readProcess } from './linux/process-memory.ts';
import type { Registers } from './arch/architecture.ts';
import { compensate, settle, type Settled } from './tracee/interrupted-call.ts';
import { sleepStart } from './tracee/sleep-start.ts';
import { Tracee } from './tracee/tracee.ts';
import { noteOffset, readVdso, roomSize, type Vdso } from './tracee/vdso.ts';

/** A stopped task. Disposing lets it go on where it was, its time limits unaffected by the stop. */
export interface Frozen extends Disposable {
  readonly tracee: Tracee;
  readonly groupStop: boolean;
  readonly status: Status;
  readonly stat: Stat;
  readonly vmas: readonly SmapsVma[];
  readonly vdso: Vdso;
  /** As found. */
  readonly registers: Registers;
  /** As it goes on. */
  readonly settled: Settled;
  /** performance.now() at the moment it was asked to stop. */
  readonly since: number;
}

const thirtyTwoBit: Blocker = {
  object: 'registers',
  place: 'compatibility mode',
  reason: '32-bit programs are not supported yet',
  remedy: 'Use a 64-bit build of the program',
};

export function freeze(pid: number): Frozen {
  const asleepSince = sleepStart(pid);
  const tracee = Tracee.seize(pid, x86_64, { killOnOurDeath: false });
  try {
    const since = performance.now();
    const { groupStop } = tracee.interrupt();
    const stopped = process.hrtime.bigint();
    let registers = tracee.getRegisters();
    if (!x86_64.isNative(registers)) throw new CannotCarryError(pid, [thirtyTwoBit]);
    const vmas = readSmaps(pid);
    const vdso = readVdso(pid, vmas);
    registers = leaveHealing(tracee, vdso, registers);
    const status = readStatus(pid);
    const settled = settle(outsideCriticalSection(tracee, registers), {
      tid: pid,
      architecture: x86_64,
      asleep: asleepSince === undefined ? undefined : stopped - asleepSince,
      signalPending: ((status.sigPnd | status.shdPnd) & ~status.sigBlk) !== 0n,
      note: vdso.bytes.subarray(vdso.bytes.length - roomSize + noteOffset),
      now: stopped,
    });
    const release = (): void => {
      if (!tracee.attached) return;
      try {
        tracee.leaveWith(compensate(pid, settled, BigInt(Math.round((performance.now() - since) * 1e6))));
      } catch (error) {
        if (!(error instanceof StasisError)) throw error; // else it has ended
      } finally {
        tracee.detach();
      }
    };
    return { tracee, groupStop, status, stat: readStat(pid), vmas, vdso, registers, settled, since, [Symbol.dispose]: release };
  } catch (error) {
    letGo(tracee);
    throw error;
  }
}

/** Before anything is known of the task: no call of it may answer EINTR for our stop. */
function letGo(tracee: Tracee): void {
  if (!tracee.attached) return;
  try {
    const registers = tracee.getRegisters();
    const call = x86_64.isNative(registers) ? x86_64.blockedCall(registers) : undefined;
    if (call?.result === -errno.EINTR)
      tracee.setRegisters(x86_64.interrupted(registers, call.number, -restartErrno.ERESTARTNOHAND));
  } finally {
    tracee.detach();
  }
}

/** A checkpoint that was killed before us may have left the task in the middle of healing: let it finish. */
function leaveHealing(tracee: Tracee, vdso: Vdso, first: Registers): Registers {
  let registers = first;
  for (let round = 0; round < 1000; round++) {
    const at = registers[x86_64.instructionPointer] ?? 0n;
    if (at < vdso.room || at >= vdso.end) return registers;
    tracee.resume(PTRACE.CONT);
    tracee.interrupt();
    registers = tracee.getRegisters();
  }
  throw new StasisError('FAILED', `Cannot checkpoint ${tracee.tid}: it does not leave the code of an earlier checkpoint`, {
    phase: 'freeze',
    pid: tracee.tid,
  });
}

/**
 * A restartable sequence that was interrupted is aborted, as the kernel does before it lets the task run on: the same
 * for the task that goes on and for the image. Source: man 2 rseq, kernel/rseq.c.
 */
function outsideCriticalSection(tracee: Tracee, registers: Registers): Registers {
  const configuration = getRseqConfiguration(tracee.tid);
  if (configuration === undefined || configuration.address === 0n) return registers;
  const memory = LocalMemory.scratch('rseq', 4096);
  readProcess(tracee.tid, memory.address, [{ address: configuration.address, length: 32 }]);
  const section = memory.view.getBigUint64(8, true); // struct rseq.rseq_cs
  if (section === 0n) return registers;
  readProcess(tracee.tid, memory.address, [{ address: section, length: 32 }]);
  const start = memory.view.getBigUint64(8, true);
  const length = memory.view.getBigUint64(16, true);
  const abort = memory.view.getBigUint64(24, true);
  const at = registers[x86_64.instructionPointer] ?? 0n;
  return at >= start && at < start + length ? { ...registers, [x86_64.instructionPointer]: abort } : registers;
}
