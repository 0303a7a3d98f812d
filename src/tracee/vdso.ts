/**
 * The vdso of a task, and the room at its end: the mapping is whole pages, the ELF file in it ends earlier, and the
 * rest is zero. There the healing code of a checkpoint lives for a moment, with no mapping made for it, and there
 * stay the notes about interrupted sleeps. Writing makes that one page private to the task (4 KiB). From its end: the
 * code for the thread that is driven first, the code for those that follow it, notes; the latter two where there is room.
 */
import { StasisError } from '../errors.ts';
import type { Vma } from '../linux/proc/maps.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { MemoryFile, readProcess } from '../linux/process-memory.ts';
import { noteSize } from './sleep-note.ts';

/** Bytes for each of the two pieces of code with their data: heal and clone (431), follow (424). */
export const codeSize = 448;

export interface Vdso {
  readonly start: bigint;
  readonly end: bigint;
  /** Where the code is for the thread that is driven first. */
  readonly room: bigint;
  /** Where it is for those that follow; undefined where the ELF file leaves too little. */
  readonly followRoom: bigint | undefined;
  /** Where notes stand, and how many fit. */
  readonly notes: { readonly at: bigint; readonly count: number };
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
  const { start, end } = vma;
  const size = Number(end - start);
  const memory = LocalMemory.scratch('vdso', size);
  readProcess(pid, memory.address, [{ address: start, length: size }]);
  const bytes = memory.bytes.slice(0, size);
  const free = (elfEnd(bytes) + noteSize - 1) & ~(noteSize - 1);
  const follows = size - free >= 2 * codeSize;
  const count = Math.max(0, Math.floor((size - (follows ? 2 : 1) * codeSize - free) / noteSize));
  return {
    start,
    end,
    room: end - BigInt(codeSize),
    followRoom: follows ? end - BigInt(2 * codeSize) : undefined,
    notes: { at: start + BigInt(free), count },
    bytes,
  };
}

/** The section headers are the last of it. Source: man 5 elf. */
function elfEnd(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ELFCLASS32 = 1;
  const [offset, size, count] =
    bytes[4] === ELFCLASS32
      ? [view.getUint32(0x20, true), view.getUint16(0x2e, true), view.getUint16(0x30, true)]
      : [Number(view.getBigUint64(0x28, true)), view.getUint16(0x3a, true), view.getUint16(0x3c, true)];
  // Without section headers only the very end is ours.
  return Math.min(offset === 0 ? bytes.length - codeSize : offset + size * count, bytes.length - codeSize);
}

/** The notes as they were read. */
export function notesOf(vdso: Vdso): Uint8Array {
  const at = Number(vdso.notes.at - vdso.start);
  return vdso.bytes.subarray(at, at + vdso.notes.count * noteSize);
}

/** The vdso as the kernel made it: without what we keep in its room. */
export function pristine(vdso: Vdso): Uint8Array {
  return vdso.bytes.subarray(0, Number(vdso.notes.at - vdso.start));
}

/** Whether an address lies in code of ours. */
export function inRoom(vdso: Vdso, address: bigint): boolean {
  return address >= (vdso.followRoom ?? vdso.room) && address < vdso.end;
}

export function assertRoom(vdso: Vdso, pid: number, code: Uint8Array): void {
  const room = vdso.bytes.subarray(vdso.bytes.length - codeSize);
  const begins = room.subarray(0, 64);
  const free = begins.every((byte) => byte === 0) || begins.every((byte, index) => byte === code[index]);
  if (free) return;
  throw new StasisError('PRIVILEGE', `Cannot drive ${pid}: the vdso of this kernel leaves no room at its end`, { pid });
}

/** Takes away the code that is left there of a checkpoint, in a copy of the memory of the task that made it. */
export function forgetRoom(pid: number, vdso: Vdso): void {
  using memory = new MemoryFile(pid);
  const from = vdso.followRoom ?? vdso.room;
  memory.write(from, new Uint8Array(Number(vdso.end - from)));
}

export function findSyscallInstruction(vdso: Vdso, instruction: Uint8Array): bigint {
  const at = Buffer.from(vdso.bytes.buffer, vdso.bytes.byteOffset, vdso.bytes.length).indexOf(instruction);
  if (at < 0) throw new StasisError('PRIVILEGE', 'The vdso of this kernel holds no system call instruction');
  return vdso.start + BigInt(at);
}
