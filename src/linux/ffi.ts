/**
 * The only importer of the FFI library: system calls made by this process, memory whose address is known, and calls
 * of our own machine code. The library is loaded on the first use, so that readers of images never need it.
 *
 * Everything is synchronous and on the calling thread: ptrace and waitpid answer ESRCH from any thread but the one
 * that attached (man 2 ptrace), and the asynchronous calls of the library run on a pool thread.
 */
import { createRequire } from 'node:module';
import type * as Koffi from 'koffi';
import { StasisError, SyscallError, type ErrorCode, type ErrorDetails } from '../errors.ts';
import { errnoName } from './errno.ts';
import { x86_64Numbers, type SyscallName } from './syscalls.ts';

export type Word = number | bigint;

type Six = [number: number, a: Word, b: Word, c: Word, d: Word, e: Word, f: Word];

interface Library {
  readonly koffi: typeof Koffi;
  readonly syscall: ((...words: Six) => number | bigint) & {
    async(...words: [...Six, (error: Error | null, result: number | bigint) => void]): void;
  };
}

let library: Library | undefined;

/** The numbers of the kernel we run on: x86-64 only, so far. */
const numbers = x86_64Numbers;

function load(): Library {
  if (library !== undefined) return library;
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new StasisError(
      'PRIVILEGE',
      `Cannot make system calls on ${process.platform} ${process.arch}: this version knows Linux on x86-64 only`,
    );
  }
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof Koffi;
    const syscall = koffi.load(null).func('int64 syscall(int64, int64, int64, int64, int64, int64, int64)');
    library = { koffi, syscall: syscall as Library['syscall'] };
    return library;
  } catch (cause) {
    throw new StasisError('PRIVILEGE', 'Cannot load the FFI library koffi, or the C library through it', {
      cause,
      hint: 'Run "npm ci" in the installation of stasis, on a system with a C library (glibc or musl).',
    });
  }
}

/** One system call of this process: its result, or minus the errno. No call we make has results above 2^53. */
export function syscall(name: SyscallName, a: Word = 0, b: Word = 0, c: Word = 0, d: Word = 0, e: Word = 0, f: Word = 0): number {
  const { koffi, syscall: call } = library ?? load();
  const result = Number(call(numbers[name], a, b, c, d, e, f));
  return result === -1 ? -koffi.errno() : result;
}

/** The same, throwing a SyscallError that says what was attempted. */
export function mustSyscall(
  name: SyscallName,
  action: string,
  a?: Word,
  b?: Word,
  c?: Word,
  d?: Word,
  e?: Word,
  f?: Word,
): number {
  const result = syscall(name, a, b, c, d, e, f);
  if (result < 0) throw syscallError(name, result, action);
  return result;
}

/**
 * One system call on a thread of libuv's pool, for calls that only wait; never ptrace. Its result, or -1: the errno is that
 * of another thread. The process cannot end before the call does.
 */
export function syscallInPool(name: SyscallName, a: Word, b: Word, c: Word, done: (result: number) => void): void {
  const { syscall: call } = library ?? load();
  call.async(numbers[name], a, b, c, 0, 0, 0, (error, result) => done(error === null ? Number(result) : -1));
}

/** A function of a system library. Bytes are passed as they are; with `async` they must lie outside of the JavaScript heap. */
export type NativeFunction = ((...words: readonly unknown[]) => number | bigint) & { async(...words: readonly unknown[]): void };

/** undefined when the system does not have the library. */
export function loadFunction(file: string, prototype: string): NativeFunction | undefined {
  const { koffi } = library ?? load();
  try {
    return koffi.load(file).func(prototype) as NativeFunction;
  } catch {
    return undefined;
  }
}

/** The error for a negative result of {@link syscall}. */
export function syscallError(
  name: string,
  result: number,
  action: string,
  details?: ErrorDetails & { code?: ErrorCode },
): SyscallError {
  return new SyscallError(name, -result, errnoName(-result), action, details);
}

/** Memory of this process at a known address, outside the JavaScript heap; it lives as long as the process, or until freed. */
export class LocalMemory {
  readonly address: bigint;
  readonly bytes: Uint8Array;
  readonly view: DataView;

  private constructor(address: number, size: number) {
    const buffer = load().koffi.view(BigInt(address), size);
    this.address = BigInt(address);
    this.bytes = new Uint8Array(buffer);
    this.view = new DataView(buffer);
  }

  static readonly #scratches = new Map<string, LocalMemory>();

  /** The one piece of memory of this name, for a caller that is done with it when it returns. */
  static scratch(name: string, size: number, executable = false): LocalMemory {
    const known = LocalMemory.#scratches.get(name);
    if (known !== undefined && known.bytes.length >= size) return known;
    const memory = LocalMemory.allocate(size, executable);
    LocalMemory.#scratches.set(name, memory);
    return memory;
  }

  /** `size` bytes, zeroed, page aligned; executable on request. Source: man 2 mmap. */
  static allocate(size: number, executable = false): LocalMemory {
    const protection = executable ? 7 : 3; // PROT_READ | PROT_WRITE (| PROT_EXEC)
    const MAP_PRIVATE_ANONYMOUS = 0x22;
    const address = mustSyscall('mmap', `Cannot allocate ${size} bytes`, 0, size, protection, MAP_PRIVATE_ANONYMOUS, -1, 0);
    return new LocalMemory(address, size);
  }

  /** Bytes of a file, shared with it, until freed. `offset` and `size` are multiples of its page size. */
  static map(fd: number, offset: number, size: number): LocalMemory {
    const MAP_SHARED = 1;
    return new LocalMemory(mustSyscall('mmap', `Cannot map ${size} bytes of a file`, 0, size, 3, MAP_SHARED, fd, offset), size);
  }

  /** Memory that exists already. */
  static at(address: number, size: number): LocalMemory {
    return new LocalMemory(address, size);
  }

  /** As {@link allocate}, in the first 2 GiB, where 32-bit code and calls reach it; executable. */
  static allocateLow(size: number): LocalMemory {
    const PROT_READ_WRITE_EXEC = 7;
    const MAP_PRIVATE_ANONYMOUS_32BIT = 0x62;
    const action = `Cannot allocate ${size} bytes in the first 2 GiB`;
    return new LocalMemory(mustSyscall('mmap', action, 0, size, PROT_READ_WRITE_EXEC, MAP_PRIVATE_ANONYMOUS_32BIT, -1, 0), size);
  }

  /** Gives the memory back. Nothing may touch `bytes` or `view` afterwards. */
  free(): void {
    syscall('munmap', this.address, this.bytes.length);
  }
}

/** Calls machine code at `address` with up to four words (System V or AAPCS64 calling convention). */
export function callCode(address: bigint, a: Word = 0, b: Word = 0, c: Word = 0, d: Word = 0): number {
  const { koffi } = load();
  return Number(koffi.call(address, codeType(koffi), a, b, c, d));
}

let cachedCodeType: Koffi.TypeObject | undefined;

function codeType(koffi: typeof Koffi): Koffi.TypeObject {
  cachedCodeType ??= koffi.proto('int64 StasisCode(int64, int64, int64, int64)');
  return cachedCodeType;
}
