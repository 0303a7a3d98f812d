/** What an architecture must supply. An architecture is a value; docs/porting.md lists what a new one needs. */
import type { SyscallNumbers } from '../linux/syscalls.ts';

/** General registers by the kernel's names; 64-bit values. */
export type Registers = Readonly<Record<string, bigint>>;

/** A system call in which a stopped task was: its number, its parameters, and what it would return (minus errno). */
export interface BlockedCall {
  readonly number: number;
  readonly parameters: readonly bigint[];
  readonly result: number;
}

/** Machine code, position independent; see asm/ for the text. */
export interface Code {
  /** One injected system call, followed by code that restores everything; data of {@link Architecture.healData} at healDataOffset. */
  readonly heal: Uint8Array;
  readonly healDataOffset: number;
  /** One injected clone(), to stand right behind heal: the healing of the task waits for the new one, which ends. */
  readonly clone: Uint8Array;
  /** Another thread makes a table of system calls and undoes itself; data of {@link Architecture.followData} at dataOffset. */
  readonly follow?: { readonly code: Uint8Array; readonly dataOffset: number };
  /** Runs a table of system calls. */
  readonly batch: Uint8Array;
  /** spawn(table, stack, pid out) for this process. */
  readonly spawn: Uint8Array;
  /** calls(table) for this process. */
  readonly calls: Uint8Array;
  /** cpuid(leaf, subleaf, out) for this process. */
  readonly cpuid: Uint8Array;
}

/** How the program itself calls the kernel. What we make it call need not come that way. */
export interface ProgramAbi {
  readonly numbers: Readonly<Record<string, number>>;
  /** AUDIT_ARCH_* of linux/audit.h, by which a seccomp filter knows such calls. */
  readonly audit: number;
  /** Bytes of a long, and so of the members of struct timespec and struct sigaction. */
  readonly wordSize: 4 | 8;
  /** What it calls mmap, whose last parameter we never need. */
  readonly mmap: string;
  /** The registers of the parameters. */
  readonly parameters: readonly string[];
  /** The instruction by which it calls, to be found in its vdso. */
  readonly instruction: Uint8Array;
}

export interface Architecture {
  /** As the kernel spells it. */
  readonly name: 'x86_64' | 'i386';
  /** Registers by these names are what an image holds. */
  readonly registerNames: readonly string[];
  readonly abi: ProgramAbi;
  /** Numbers of the calls that we make in a task: those of the kernel we run on. */
  readonly syscalls: SyscallNumbers;
  readonly code: Code;
  /** Where its user address space ends. */
  readonly addressLimit: bigint;
  readonly instructionPointer: string;
  readonly stackPointer: string;
  /** Bytes below the stack pointer that belong to the running function. */
  readonly redZone: bigint;
  readonly syscallInstruction: Uint8Array;
  decodeRegisters(bytes: Uint8Array): Registers;
  encodeRegisters(registers: Registers): Uint8Array;
  /** Whether a task with these registers executes code of this architecture. */
  recognises(registers: Registers): boolean;
  /** The registers as an image holds them, and back. */
  toImage(registers: Registers): Registers;
  fromImage(registers: Registers): Registers;
  /** The same task about to execute the instruction at `address`, in no system call. */
  at(registers: Registers, address: bigint): Registers;
  /** Registers that make a call the program's own way, through its instruction at `address`; named as in `abi.numbers`. */
  programCallAt(registers: Registers, address: bigint, name: string, parameters: readonly (number | bigint)[]): Registers;
  /** Registers that make a system call of ours through `syscallInstruction` at `address`. */
  syscallAt(registers: Registers, address: bigint, number: number, parameters: readonly (number | bigint)[]): Registers;
  batchAt(registers: Registers, address: bigint, table: bigint): Registers;
  /** The address of the table entry at which a batch ended. */
  batchEnd(registers: Registers): bigint;
  result(registers: Registers): bigint;
  /** The same task with its system call answered. */
  withResult(registers: Registers, value: number | bigint): Registers;
  /** The system call that a stop interrupted; undefined in user code. */
  blockedCall(registers: Registers): BlockedCall | undefined;
  /** The same task as if the kernel had interrupted it in call `number` with this code (minus an ERESTART…). */
  interrupted(registers: Registers, number: number, code: number): Registers;
  /** The same task about to execute its system call instruction again, as call `number`. */
  callAgain(registers: Registers, number: number): Registers;
  /** The data that follows the heal code; the first word is the place of the busy flag of a following thread, or 0. */
  healData(registers: Registers, scratch: bigint, length: bigint, mask: bigint): Uint8Array;
  /** The data that follows the follow code. */
  followData(registers: Registers, parts: FollowParts): Uint8Array;
}

export interface FollowParts {
  /** Address of the flag that is cleared when the thread no longer needs the scratch page. */
  readonly busy: bigint;
  readonly tgid: number;
  readonly tid: number;
  /** By which it stops. */
  readonly signal: number;
  readonly mask: bigint;
}
