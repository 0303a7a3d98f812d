/**
 * Notes in the room of a process's vdso about sleeps that its threads continue by restart_syscall: the kernel no longer
 * shows which call that is, nor until when it sleeps, and the next checkpoint has to know. Only the deadline is kept: the
 * call is one of a few, and a checksum over it, its parameters and its place tells which.
 */
import { crc32 } from 'node:zlib';
import type { Architecture, Registers } from '../arch/architecture.ts';
import type { Sleep } from './interrupted-call.ts';

/** Bytes: thread id, checksum, deadline. */
export const noteSize = 16;

/** Calls that continue by restart_syscall. Source: uses of restart_block in the kernel. */
const sleepers = ['nanosleep', 'clock_nanosleep', 'clock_nanosleep_time64', 'poll', 'futex', 'futex_time64'];

/** `registers`: those of the interrupted thread; `now`: CLOCK_MONOTONIC, nanoseconds. */
export function encodeNote(tid: number, sleep: Sleep, registers: Registers, architecture: Architecture, now: bigint): Uint8Array {
  const bytes = new Uint8Array(noteSize);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, tid, true);
  view.setUint32(4, checksum(sleep.number, sleep.parameters, registers, architecture), true);
  view.setBigUint64(8, now + sleep.remaining, true);
  return bytes;
}

/** The call that a thread continues, and until when; `bytes`: all notes there are. */
export function findNote(
  bytes: Uint8Array,
  tid: number,
  parameters: readonly bigint[],
  registers: Registers,
  architecture: Architecture,
): { number: number; deadline: bigint } | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at + noteSize <= bytes.length; at += noteSize) {
    if (view.getUint32(at, true) !== tid) continue;
    const wanted = view.getUint32(at + 4, true);
    for (const name of sleepers) {
      const number = architecture.abi.numbers[name];
      if (number === undefined || checksum(number, parameters, registers, architecture) !== wanted) continue;
      return { number, deadline: view.getBigUint64(at + 8, true) };
    }
  }
  return undefined;
}

function checksum(number: number, parameters: readonly bigint[], registers: Registers, architecture: Architecture): number {
  const { instructionPointer, stackPointer } = architecture;
  const words = [BigInt(number), ...parameters, registers[instructionPointer] ?? 0n, registers[stackPointer] ?? 0n];
  return crc32(new Uint8Array(BigUint64Array.from(words).buffer));
}
