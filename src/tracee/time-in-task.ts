/** Times in the memory of a task, as the kernel reads and writes them there: in the layout of the program's own calls. */
import type { ProgramAbi } from '../arch/architecture.ts';
import { timespec32 } from '../linux/abi/compat.ts';
import { timespec } from '../linux/abi/time.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { readProcess, writeProcess } from '../linux/process-memory.ts';

/** What a parameter points to: two longs, in one case of microseconds, or two words of 64 bits in every program. */
export type TimeUnit = 'timespec' | 'timeval' | 'timespec64';

export interface TimeFormat {
  readonly wordSize: 4 | 8;
  /** Nanoseconds that the second word counts. */
  readonly scale: bigint;
}

export function formatOf(unit: TimeUnit, { wordSize }: Pick<ProgramAbi, 'wordSize'>): TimeFormat {
  return { wordSize: unit === 'timespec64' ? 8 : wordSize, scale: unit === 'timeval' ? 1000n : 1n };
}

/** A struct timespec or timeval. */
export function encodeTime(nanoseconds: bigint, { wordSize, scale }: TimeFormat): Uint8Array {
  const seconds = nanoseconds / 1_000_000_000n;
  const rest = (nanoseconds % 1_000_000_000n) / scale;
  if (wordSize === 8) return timespec.make({ tv_sec: seconds, tv_nsec: rest });
  const latest = 0x7fff_ffffn;
  return timespec32.make({ tv_sec: Number(seconds < latest ? seconds : latest), tv_nsec: Number(rest) });
}

/** Nanoseconds. */
export function readTime(pid: number, address: bigint, { wordSize, scale }: TimeFormat): bigint {
  const memory = LocalMemory.scratch('time', timespec.size);
  readProcess(pid, memory.address, [{ address, length: 2 * wordSize }]);
  if (wordSize === 8) return timespec.get(memory.view, 'tv_sec') * 1_000_000_000n + timespec.get(memory.view, 'tv_nsec') * scale;
  return BigInt(timespec32.get(memory.view, 'tv_sec')) * 1_000_000_000n + BigInt(timespec32.get(memory.view, 'tv_nsec')) * scale;
}

export function writeTime(pid: number, address: bigint, nanoseconds: bigint, format: TimeFormat): void {
  const memory = LocalMemory.scratch('time', timespec.size);
  const bytes = encodeTime(nanoseconds, format);
  memory.bytes.set(bytes);
  writeProcess(pid, memory.address, [{ address, length: bytes.length }]);
}

/** Whether memory of a 32-bit program holds 64-bit times: only then is the second word zero and the third below a second. */
export function looksLikeTime64(pid: number, address: bigint): boolean {
  if (address === 0n) return false;
  const memory = LocalMemory.scratch('time', timespec.size);
  readProcess(pid, memory.address, [{ address, length: timespec.size }]);
  const { tv_sec, tv_nsec } = timespec.read(memory.view);
  return tv_sec >= 0n && tv_sec < 1n << 32n && tv_nsec >= 0n && tv_nsec < 1_000_000_000n;
}
