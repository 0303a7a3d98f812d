/** What a stopped task has of the processor's debug registers and I/O ports. Source: arch/x86/kernel/ptrace.c. */
import { LocalMemory } from './ffi.ts';
import { mustPtrace, ptrace, PTRACE } from './ptrace.ts';

const PTRACE_PEEKUSR = 3;
/** offsetof(struct user, u_debugreg[7]) of sys/user.h on x86-64. */
const debugControlOffset = 848 + 7 * 8;

/** DR7 as a debugger set it: 0 when no hardware breakpoint is. */
export function debugControl(tid: number): bigint {
  const memory = LocalMemory.scratch('hardware', 16384);
  mustPtrace(PTRACE_PEEKUSR, tid, `Cannot read the debug registers of ${tid}`, debugControlOffset, memory.address);
  return memory.view.getBigUint64(0, true);
}

const NT_386_IOPERM = 0x201;
const bitmapSize = 8192;

/** Whether ioperm gave the task ports. The kernel answers an error when not, or when it knows no such thing. */
export function portPermissions(tid: number): boolean {
  const memory = LocalMemory.scratch('hardware', 16384);
  memory.view.setBigUint64(0, memory.address + 16n, true);
  memory.view.setBigUint64(8, BigInt(bitmapSize), true);
  return ptrace(PTRACE.GETREGSET, tid, NT_386_IOPERM, memory.address) >= 0 && memory.view.getBigUint64(8, true) > 0n;
}
