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
  /** Runs a table of system calls. */
  readonly batch: Uint8Array;
  /** spawn(table, stack, pid out) for this process. */
  readonly spawn: Uint8Array;
  /** cpuid(leaf, subleaf, out) for this process. */
  readonly cpuid: Uint8Array;
}

export interface Architecture {
  readonly name: 'x86_64';
  readonly registerNames: readonly string[];
  readonly syscalls: SyscallNumbers;
  readonly code: Code;
  readonly instructionPointer: string;
  readonly stackPointer: string;
  /** Bytes below the stack pointer that belong to the running function. */
  readonly redZone: bigint;
  readonly syscallInstruction: Uint8Array;
  decodeRegisters(bytes: Uint8Array): Registers;
  encodeRegisters(registers: Registers): Uint8Array;
  /** False for a task in a compatibility mode (32-bit). */
  isNative(registers: Registers): boolean;
  /** The same task about to execute the instruction at `address`, in no system call. */
  at(registers: Registers, address: bigint): Registers;
  /** Registers that make a system call through the instruction at `address`. */
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
  parameterRegister(index: number): string;
  /** The data that follows the heal code. */
  healData(registers: Registers, scratch: bigint, length: bigint, mask: bigint): Uint8Array;
}
