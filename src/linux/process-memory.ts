/** Memory of other processes. Source: man 2 process_vm_readv, man 5 proc_pid_mem. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { LocalMemory, syscall, syscallError } from './ffi.ts';

/** Ranges of the other process, in order; together they are one run of local bytes. Lengths in bytes. */
export interface Range {
  readonly address: bigint;
  readonly length: number;
}

/** The kernel takes at most this many ranges per call (UIO_MAXIOV). */
export const maxRanges = 1024;

let vectors: LocalMemory | undefined;

function fillVectors(local: bigint, ranges: readonly Range[]): { memory: LocalMemory; length: number } {
  vectors ??= LocalMemory.allocate(16 * (maxRanges + 1));
  const { view } = vectors;
  let length = 0;
  let at = 16;
  for (const range of ranges) {
    view.setBigUint64(at, range.address, true);
    view.setBigUint64(at + 8, BigInt(range.length), true);
    at += 16;
    length += range.length;
  }
  view.setBigUint64(0, local, true);
  view.setBigUint64(8, BigInt(length), true);
  return { memory: vectors, length };
}

/** Copies ranges of `pid` to `local` (an address in a LocalMemory). All or an error. At most {@link maxRanges} ranges. */
export function readProcess(pid: number, local: bigint, ranges: readonly Range[]): void {
  transfer('process_vm_readv', pid, local, ranges);
}

/** Copies local bytes into ranges of `pid`, which must be writable there. */
export function writeProcess(pid: number, local: bigint, ranges: readonly Range[]): void {
  transfer('process_vm_writev', pid, local, ranges);
}

function transfer(name: 'process_vm_readv' | 'process_vm_writev', pid: number, local: bigint, ranges: readonly Range[]): void {
  const { memory, length } = fillVectors(local, ranges);
  const result = syscall(name, pid, memory.address, 1, memory.address + 16n, ranges.length, 0);
  const action = `Cannot ${name === 'process_vm_readv' ? 'read' : 'write'} ${length} bytes of the memory of ${pid}`;
  if (result < 0) throw syscallError(name, result, action, { pid });
  if (result !== length) throw syscallError(name, -14, `${action} (only ${result})`, { pid });
}

/** /proc/PID/mem: also reads and writes what the mapping's own protection forbids (FOLL_FORCE, while tracing). */
export class MemoryFile implements Disposable {
  readonly #fd: number;

  constructor(pid: number) {
    this.#fd = openSync(`/proc/${pid}/mem`, 'r+');
  }

  read(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const got = readSync(this.#fd, bytes, 0, length, Number(address));
    if (got !== length) throw syscallError('read', -14, `Cannot read ${length} bytes at ${address.toString(16)}`);
    return bytes;
  }

  write(address: bigint, bytes: Uint8Array): void {
    const put = writeSync(this.#fd, bytes, 0, bytes.length, Number(address));
    if (put !== bytes.length) throw syscallError('write', -14, `Cannot write ${bytes.length} bytes at ${address.toString(16)}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
