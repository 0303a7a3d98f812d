/**
 * A note in the room of a task's vdso about the sleep that it continues by restart_syscall: the kernel no longer shows
 * which call that is, nor until when it sleeps, and the next checkpoint has to know.
 */
import type { Registers } from '../arch/architecture.ts';
import type { Architecture } from '../arch/architecture.ts';
import type { Sleep } from './interrupted-call.ts';
import { noteSize } from './vdso.ts';

export interface SleepNote {
  readonly number: number;
  readonly parameters: readonly bigint[];
  /** Where the task continues: instruction and stack pointer behind the call. */
  readonly instruction: bigint;
  readonly stack: bigint;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly deadline: bigint;
}

const magic = 0x70656c7369736174n;
const words = 11; // magic, number, 6 parameters, instruction, stack, deadline

/** `registers`: those of the interrupted task. */
export function encodeNote(sleep: Sleep, registers: Registers, architecture: Architecture, now: bigint): Uint8Array {
  const bytes = new Uint8Array(noteSize);
  const view = new DataView(bytes.buffer);
  const instruction = registers[architecture.instructionPointer] ?? 0n;
  const values = [
    magic,
    BigInt(sleep.number),
    ...sleep.parameters,
    instruction,
    registers[architecture.stackPointer] ?? 0n,
    now + sleep.remaining,
  ];
  values.forEach((value, index) => view.setBigUint64(index * 8, value, true));
  return bytes;
}

export function decodeNote(bytes: Uint8Array): SleepNote | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (index: number): bigint => view.getBigUint64(index * 8, true);
  if (bytes.length < words * 8 || word(0) !== magic) return undefined;
  return {
    number: Number(word(1)),
    parameters: [2, 3, 4, 5, 6, 7].map(word),
    instruction: word(8),
    stack: word(9),
    deadline: word(10),
  };
}
