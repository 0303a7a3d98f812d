/** ptrace and wait, typed and thin. Source: man 2 ptrace, include/uapi/linux/ptrace.h. */
import { ptrace_peeksiginfo_args, ptrace_sud_config } from './abi/ptrace.ts';
import { siginfo } from './abi/signal.ts';
import { LocalMemory, mustSyscall, syscall, syscallError, type Word } from './ffi.ts';

export const PTRACE = {
  CONT: 7,
  GETREGS: 12,
  SETREGS: 13,
  DETACH: 17,
  SYSCALL: 24,
  SETOPTIONS: 0x4200,
  GETEVENTMSG: 0x4201,
  GETSIGINFO: 0x4202,
  GETREGSET: 0x4204,
  SETREGSET: 0x4205,
  SEIZE: 0x4206,
  INTERRUPT: 0x4207,
  LISTEN: 0x4208,
  PEEKSIGINFO: 0x4209,
  GETSIGMASK: 0x420a,
  SETSIGMASK: 0x420b,
  SECCOMP_GET_FILTER: 0x420c,
  SECCOMP_GET_METADATA: 0x420d,
  GET_RSEQ_CONFIGURATION: 0x420f,
  SET_SYSCALL_USER_DISPATCH_CONFIG: 0x4210,
  GET_SYSCALL_USER_DISPATCH_CONFIG: 0x4211,
} as const;

export const PTRACE_O = {
  TRACESYSGOOD: 1,
  TRACECLONE: 8,
  TRACEEXEC: 0x10,
  EXITKILL: 0x100000,
  SUSPEND_SECCOMP: 0x200000,
} as const;
export const PTRACE_EVENT = { CLONE: 3, EXEC: 4, STOP: 128 } as const;

/** Register sets of PTRACE_GETREGSET. Source: include/uapi/linux/elf.h. */
export const NT = { X86_XSTATE: 0x202 } as const;

/** What waitpid said of a task. Closed: switch on `kind`. */
export type WaitStatus =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: number }
  | { readonly kind: 'syscall' } // system call entry or exit, under PTRACE_SYSCALL with TRACESYSGOOD
  | { readonly kind: 'event'; readonly event: number; readonly signal: number }
  | { readonly kind: 'signal'; readonly signal: number }; // signal-delivery-stop

const scratch = lazy(() => LocalMemory.allocate(64 * 1024));

function lazy<T>(make: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= make());
}

/** The raw result: 0 or more, or minus the errno. */
export function ptrace(request: number, tid: number, address: Word = 0, data: Word = 0): number {
  return syscall('ptrace', request, tid, address, data);
}

/** The same, throwing with what was attempted. */
export function mustPtrace(request: number, tid: number, action: string, address: Word = 0, data: Word = 0): number {
  const result = ptrace(request, tid, address, data);
  if (result < 0) throw syscallError('ptrace', result, action, { pid: tid });
  return result;
}

/** Waits for the next stop or end of a traced task. `nohang`: undefined when nothing has happened yet. */
export function waitFor(tid: number): WaitStatus;
export function waitFor(tid: number, nohang: boolean): WaitStatus | undefined;
export function waitFor(tid: number, nohang = false): WaitStatus | undefined {
  const WNOHANG = 1;
  const WALL = 0x40000000;
  const memory = scratch();
  for (;;) {
    const result = syscall('wait4', tid, memory.address, WALL | (nohang ? WNOHANG : 0), 0);
    if (result === -4) continue; // EINTR: a signal of our own
    if (result < 0) throw syscallError('wait4', result, `Cannot wait for ${tid}`, { pid: tid, code: 'VANISHED' });
    if (result === 0) return undefined;
    return decodeStatus(memory.view.getInt32(0, true));
  }
}

/** Source: man 2 waitpid (W* macros), man 2 ptrace (PTRACE_EVENT stops). */
export function decodeStatus(status: number): WaitStatus {
  if ((status & 0x7f) === 0) return { kind: 'exited', code: (status >> 8) & 0xff };
  if ((status & 0xff) !== 0x7f) return { kind: 'killed', signal: status & 0x7f };
  const signal = (status >> 8) & 0xff;
  const event = status >> 16;
  if (event !== 0) return { kind: 'event', event, signal };
  if (signal === (0x80 | 5)) return { kind: 'syscall' };
  return { kind: 'signal', signal };
}

/** A copy of a register set; its length is what this kernel gives. */
export function getRegisterSet(tid: number, type: number): Uint8Array {
  const memory = scratch();
  setIovec(memory, memory.bytes.length - 16);
  mustPtrace(PTRACE.GETREGSET, tid, `Cannot read the registers of ${tid}`, type, memory.address);
  const length = Number(memory.view.getBigUint64(8, true));
  return memory.bytes.slice(16, 16 + length);
}

export function setRegisterSet(tid: number, type: number, value: Uint8Array): void {
  const memory = scratch();
  memory.bytes.set(value, 16);
  setIovec(memory, value.length);
  mustPtrace(PTRACE.SETREGSET, tid, `Cannot write the registers of ${tid}`, type, memory.address);
}

/** Bytes of struct user_regs_struct of x86-64. */
const registersSize = 216;

/**
 * The general registers in the layout of the tracer's own architecture, whatever the task executes: PTRACE_GETREGSET
 * gives those of a 32-bit task in another one. Source: arch/x86/kernel/ptrace.c (arch_ptrace).
 */
export function getRegisters(tid: number): Uint8Array {
  const memory = scratch();
  mustPtrace(PTRACE.GETREGS, tid, `Cannot read the registers of ${tid}`, 0, memory.address);
  return memory.bytes.slice(0, registersSize);
}

export function setRegisters(tid: number, value: Uint8Array): void {
  const memory = scratch();
  memory.bytes.set(value);
  mustPtrace(PTRACE.SETREGS, tid, `Cannot write the registers of ${tid}`, 0, memory.address);
}

function setIovec(memory: LocalMemory, length: number): void {
  memory.view.setBigUint64(0, memory.address + 16n, true);
  memory.view.setBigUint64(8, BigInt(length), true);
}

/** Of a stop at an event: what the event is about, such as the pid of a new task. */
export function getEventMessage(tid: number): number {
  const memory = scratch();
  mustPtrace(PTRACE.GETEVENTMSG, tid, `Cannot ask what happened to ${tid}`, 0, memory.address);
  return Number(memory.view.getBigUint64(0, true));
}

/** The blocked signals; of a task in sigsuspend or ppoll the mask that it will have afterwards. */
export function getSignalMask(tid: number): bigint {
  const memory = scratch();
  mustPtrace(PTRACE.GETSIGMASK, tid, `Cannot read the signal mask of ${tid}`, 8, memory.address);
  return memory.view.getBigUint64(0, true);
}

export function setSignalMask(tid: number, mask: bigint): void {
  const memory = scratch();
  memory.view.setBigUint64(0, mask, true);
  mustPtrace(PTRACE.SETSIGMASK, tid, `Cannot set the signal mask of ${tid}`, 8, memory.address);
}

export interface RseqConfiguration {
  readonly address: bigint;
  readonly size: number;
  readonly signature: number;
  readonly flags: number;
}

/** The registered restartable-sequences area; address 0n: none. undefined: the kernel lacks the request (before 5.13). */
export function getRseqConfiguration(tid: number): RseqConfiguration | undefined {
  const memory = scratch();
  const result = ptrace(PTRACE.GET_RSEQ_CONFIGURATION, tid, 24, memory.address);
  if (result < 0) return undefined;
  return {
    address: memory.view.getBigUint64(0, true),
    size: memory.view.getUint32(8, true),
    signature: memory.view.getUint32(12, true),
    flags: memory.view.getUint32(16, true),
  };
}

/** The robust futex list head and its length. Source: man 2 get_robust_list. */
export function getRobustList(tid: number): { head: bigint; length: bigint } {
  const memory = scratch();
  mustSyscall('get_robust_list', `Cannot read the robust futex list of ${tid}`, tid, memory.address, memory.address + 8n);
  return { head: memory.view.getBigUint64(0, true), length: memory.view.getBigUint64(8, true) };
}

/** Copies of the siginfo of every queued signal, oldest first: of the process (`shared`), or of this thread alone. */
export function peekSignals(tid: number, shared: boolean): Uint8Array[] {
  const PTRACE_PEEKSIGINFO_SHARED = 1;
  const perCall = 256;
  const size = siginfo.size;
  const memory = scratch();
  const found: Uint8Array[] = [];
  for (;;) {
    const values = { off: BigInt(found.length), flags: shared ? PTRACE_PEEKSIGINFO_SHARED : 0, nr: perCall };
    memory.bytes.set(ptrace_peeksiginfo_args.make(values));
    const [from, to] = [memory.address, memory.address + 64n];
    const count = mustPtrace(PTRACE.PEEKSIGINFO, tid, `Cannot read the pending signals of ${tid}`, from, to);
    for (let at = 64; at < 64 + count * size; at += size) found.push(memory.bytes.slice(at, at + size));
    if (count < perCall) return found;
  }
}

/** PR_SYS_DISPATCH_*, the byte that says whether calls pass (0n: none), and the range whose calls always pass. */
export type SyscallDispatch = ReturnType<typeof ptrace_sud_config.parse>;

/** Undefined when the kernel lacks the request (before 6.4). */
export function getSyscallDispatch(tid: number): SyscallDispatch | undefined {
  const memory = scratch();
  const result = ptrace(PTRACE.GET_SYSCALL_USER_DISPATCH_CONFIG, tid, ptrace_sud_config.size, memory.address);
  return result < 0 ? undefined : ptrace_sud_config.read(memory.view);
}

export function setSyscallDispatch(tid: number, value: SyscallDispatch): void {
  const memory = scratch();
  memory.bytes.set(ptrace_sud_config.make(value));
  const { size } = ptrace_sud_config;
  mustPtrace(PTRACE.SET_SYSCALL_USER_DISPATCH_CONFIG, tid, `Cannot set the syscall dispatch of ${tid}`, size, memory.address);
}
