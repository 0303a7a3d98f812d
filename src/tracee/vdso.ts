/**
 * The vdso of a task, and the room at its end: the mapping is whole pages, the ELF file in it ends earlier, and the
 * rest is zero. There the healing code of a checkpoint lives for a moment, with no mapping made for it, and there
 * stays the note about an interrupted sleep. Writing makes that one page private to the task (4 KiB).
 */
import { StasisError } from '../errors.ts';
import type { Vma } from '../linux/proc/maps.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { readProcess } from '../linux/process-memory.ts';

/** Bytes kept at the very end of the vdso: code (heal 352, clone 39) and note. */
export const roomSize = 512;
export const noteOffset = 400;
export const noteSize = 112;

export interface Vdso {
  readonly start: bigint;
  readonly end: bigint;
  /** Where our room begins. */
  readonly room: bigint;
  readonly bytes: Uint8Array;
}

/** Reads the vdso of `pid`; */
export function readVdso(pid: number, vmas: readonly Vma[]): Vdso {
  const vma = vmas.find((candidate) => candidate.path === '[vdso]');
  if (vma === undefined) {
    throw new StasisError('PRIVILEGE', `Cannot drive ${pid}: it has no vdso`, {
      pid,
      hint: 'The kernel was started with vdso=0, or the program unmapped it.',
    });
  }
  const size = Number(vma.end - vma.start);
  const memory = LocalMemory.scratch('vdso', size);
  readProcess(pid, memory.address, [{ address: vma.start, length: size }]);
  return { start: vma.start, end: vma.end, room: vma.end - BigInt(roomSize), bytes: memory.bytes.slice(0, size) };
}

/** The vdso as the kernel made it: without what we keep in its room. */
export function pristine(vdso: Vdso): Uint8Array {
  return vdso.bytes.subarray(0, vdso.bytes.length - roomSize);
}

export function assertRoom(vdso: Vdso, pid: number, code: Uint8Array): void {
  const room = vdso.bytes.subarray(vdso.bytes.length - roomSize);
  const begins = room.subarray(0, 64);
  const free = begins.every((byte) => byte === 0) || begins.every((byte, index) => byte === code[index]);
  if (free) return;
  throw new StasisError('PRIVILEGE', `Cannot drive ${pid}: the vdso of this kernel leaves no room at its end`, { pid });
}

export function findSyscallInstruction(vdso: Vdso, instruction: Uint8Array): bigint {
  const at = Buffer.from(vdso.bytes.buffer, vdso.bytes.byteOffset, vdso.bytes.length).indexOf(instruction);
  if (at < 0) throw new StasisError('PRIVILEGE', 'The vdso of this kernel holds no system call instruction');
  return vdso.start + BigInt(at);
}
