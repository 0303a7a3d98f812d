/** The processor's side of a thread on x86, 64-bit or 32-bit: registers, vector state, and what the kernel keeps per thread. */
import { StasisError, SyscallError } from '../errors.ts';
import { getRobustList32 } from '../arch/call32.ts';
import { componentLayout, convertArea, enabledComponents, type Component } from '../arch/xsave.ts';
import type { Architecture, Registers } from '../arch/architecture.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { readProcess, writeProcess } from '../linux/process-memory.ts';
import { getRegisterSet, getRobustList, getRseqConfiguration, NT, setRegisterSet, setSignalMask } from '../linux/ptrace.ts';
import { syscallName } from '../linux/syscalls.ts';
import { encodeNote } from '../tracee/sleep-note.ts';
import { encodeTime, formatOf } from '../tracee/time-in-task.ts';
import type { Tracee } from '../tracee/tracee.ts';
import type { Rebuild, ThreadCollection } from './object.ts';

export interface Cpu {
  /** By the names of the architecture. */
  readonly registers: Registers;
  /** XSAVE area in standard format. */
  readonly xstate: Uint8Array;
  /** Where its components lie; those of another processor may lie elsewhere. */
  readonly components: readonly Component[];
  /** Blocked signals; bit 0 is signal 1. */
  readonly signalMask: bigint;
  readonly alternateStack: { readonly address: bigint; readonly flags: number; readonly size: bigint };
  readonly clearChildTid: bigint;
  readonly robustList: { readonly head: bigint; readonly length: bigint };
  readonly rseq?: { readonly address: bigint; readonly size: number; readonly signature: number } | undefined;
  /** An interrupted sleep, which the kernel is to continue by restart_syscall. */
  readonly sleep?: { readonly call: string; readonly parameters: readonly bigint[]; readonly remaining: bigint } | undefined;
}

const word = s.hex(s.u64());

export function cpuRecord(tag: number, name: string, { registerNames }: Architecture): RecordKind<Cpu> {
  return defineKind<Cpu>({
    tag,
    name,
    parents: ['thread'],
    schema: s.record({
      registers: s.record(Object.fromEntries(registerNames.map((register) => [register, word]))),
      xstate: s.bytes(65536),
      components: s.array(s.record({ index: s.uint(63), offset: s.uint(65536), size: s.uint(65536) }), 64),
      signalMask: word,
      alternateStack: s.record({ address: word, flags: s.hex(s.uint(0xffff_ffff)), size: s.u64() }),
      clearChildTid: word,
      robustList: s.record({ head: word, length: s.u64() }),
      rseq: s.optional(s.record({ address: word, size: s.uint(65536), signature: s.hex(s.uint(0xffff_ffff)) })),
      sleep: s.optional(s.record({ call: s.text(32), parameters: s.array(word, 6), remaining: s.i64() })),
    }),
  });
}

const PR_GET_TID_ADDRESS = 40;

/** `answer`: what the interrupted system call returns in the restarted program, for a checkpoint of oneself. */
export function collectCpu({ tracee, injector, settled }: ThreadCollection, answer: number | undefined): Cpu {
  const { registers, sleep } = settled;
  const { architecture } = tracee;
  const xstate = getRegisterSet(tracee.tid, NT.X86_XSTATE);
  injector.mustCall('sigaltstack', [0, injector.scratch]);
  const stack = injector.readScratch(24);
  injector.mustCall('prctl', [PR_GET_TID_ADDRESS, injector.scratch, 0, 0, 0]);
  const clearChildTid = injector.readScratch(8).getBigUint64(0, true);
  const rseq = getRseqConfiguration(tracee.tid);
  return {
    registers: architecture.toImage(answer === undefined ? registers : architecture.withResult(registers, answer)),
    xstate,
    components: componentLayout(enabledComponents(xstate)),
    signalMask: injector.signalMask,
    alternateStack: {
      address: stack.getBigUint64(0, true),
      flags: stack.getUint32(8, true),
      size: stack.getBigUint64(16, true),
    },
    clearChildTid,
    robustList: robustListOf(tracee),
    ...(rseq !== undefined &&
      rseq.address !== 0n && { rseq: { address: rseq.address, size: rseq.size, signature: rseq.signature } }),
    ...(sleep !== undefined && {
      sleep: {
        call: syscallName(architecture.abi.numbers, sleep.number),
        parameters: sleep.parameters,
        remaining: sleep.remaining,
      },
    }),
  };
}

const SS_ONSTACK = 1;

/** The kernel keeps a list for each way of calling it; a program uses its own. */
function robustListOf({ tid, architecture }: Tracee): Cpu['robustList'] {
  if (architecture.name === 'x86_64') return getRobustList(tid);
  const list = getRobustList32(tid);
  if (list === undefined) throw new StasisError('PRIVILEGE', `Cannot read the robust futex list of ${tid}`, { pid: tid });
  return list;
}

export function restartCpu(value: Cpu, architecture: Architecture, rebuild: Rebuild): void {
  if (rebuild.tracee.architecture !== architecture)
    throw new StasisError('IMAGE', `The image holds the registers of another architecture than that of its program`);
  const here = getRegisterSet(rebuild.tracee.tid, NT.X86_XSTATE);
  const converted = convertArea(value.xstate, value.components, here, componentLayout(enabledComponents(here)));
  if (converted.missing.length > 0) {
    throw new StasisError(
      'RESTART_FAILED',
      `Cannot restart here: this processor lacks ${converted.missing.join(', ')}, which the program uses`,
      {
        phase: 'restore',
        hint: 'Restart it on a machine whose processor has these features.',
      },
    );
  }
  const { thread } = rebuild;
  let registers = architecture.fromImage(value.registers);
  thread.calls.push(() => addCalls(value, rebuild));
  const { sleep } = value;
  if (sleep !== undefined) thread.fallAsleep = () => (registers = resumeSleep(registers, sleep, rebuild));
  thread.registers = () => {
    const { tracee } = rebuild;
    renewTid(tracee.tid, value.clearChildTid, thread.formerTid);
    setRegisterSet(tracee.tid, NT.X86_XSTATE, converted.area);
    tracee.leaveWith(registers);
    setSignalMask(tracee.tid, value.signalMask);
  };
}

function addCalls(value: Cpu, rebuild: Rebuild): void {
  rebuild.room(6, 128);
  const { batch } = rebuild;
  const stack = new DataView(new ArrayBuffer(24));
  stack.setBigUint64(0, value.alternateStack.address, true);
  stack.setUint32(8, (value.alternateStack.flags & ~SS_ONSTACK) >>> 0, true);
  stack.setBigUint64(16, value.alternateStack.size, true);
  batch.add('set the alternate signal stack', 'sigaltstack', [batch.data(new Uint8Array(stack.buffer)), 0]);
  batch.add('set clear_child_tid', 'set_tid_address', [value.clearChildTid]);
  if (value.robustList.head !== 0n) {
    batch.addProgramCall('set the robust futex list', 'set_robust_list', [value.robustList.head, value.robustList.length]);
  }
  if (value.rseq !== undefined) {
    batch.add('register restartable sequences', 'rseq', [value.rseq.address, value.rseq.size, 0, value.rseq.signature]);
  }
}

/**
 * C libraries keep a thread's id where the kernel clears it at its end (man 2 set_tid_address, CLONE_CHILD_CLEARTID): a
 * thread that got another id finds the new one there, for pthread_kill and the like.
 */
function renewTid(tid: number, address: bigint, former: number): void {
  if (address === 0n || tid === former) return;
  const memory = LocalMemory.scratch('tid', 4096);
  const place = [{ address, length: 4 }];
  try {
    readProcess(tid, memory.address, place);
    if (memory.view.getInt32(0, true) !== former) return;
    memory.view.setInt32(0, tid, true);
    writeProcess(tid, memory.address, place);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error; // it points nowhere, which the kernel does not mind either
  }
}

/**
 * Makes the task fall asleep for the rest of the time and interrupts it at once: now its kernel side holds the
 * deadline, and the saved registers continue the sleep through restart_syscall.
 */
function resumeSleep(registers: Registers, sleep: NonNullable<Cpu['sleep']>, rebuild: Rebuild): Registers {
  const { architecture } = rebuild.tracee;
  const { abi } = architecture;
  const number = abi.numbers[sleep.call];
  const [first = 0n, second = 0n, third = 0n, fourth = 0n] = sleep.parameters;
  const time64 = '_time64';
  const format = formatOf(sleep.call.endsWith(time64) ? 'timespec64' : 'timespec', abi);
  const rest = rebuild.area.place(encodeTime(sleep.remaining, format));
  const milliseconds = (sleep.remaining + 999_999n) / 1_000_000n;
  const parameters = {
    nanosleep: [rest, second],
    clock_nanosleep: [first, second, rest, fourth],
    poll: [first, second, milliseconds],
    futex: [first, second, third, rest],
  }[sleep.call.replace(time64, '')];
  if (parameters === undefined || number === undefined)
    throw new StasisError('IMAGE', `Cannot continue a sleep in ${sleep.call}`, { phase: 'restore' });
  const answer = rebuild.area.interruptedCall(sleep.call, parameters);
  const ERESTART_RESTARTBLOCK = -516n;
  if (answer !== ERESTART_RESTARTBLOCK) {
    // It ended at once: time was up, or what it waits for is there. That is its answer.
    return architecture.withResult(registers, answer);
  }
  const now = process.hrtime.bigint();
  rebuild.writeNote(
    encodeNote(
      rebuild.tracee.tid,
      { number, parameters: sleep.parameters, remaining: sleep.remaining },
      registers,
      architecture,
      now,
    ),
  );
  return registers;
}
