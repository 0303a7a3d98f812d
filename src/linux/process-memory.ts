/** Memory of other processes. Source: man 2 process_vm_readv, man 5 proc_pid_mem. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { LocalMemory, syscall, syscallError } from './ffi.ts';
import { pageSize } from './pagemap.ts';

/** Ranges of the other process, in order; together they are one run of local bytes. Lengths in bytes. */
export interface Range {
  readonly address: bigint;
  readonly length: number;
}

/** Runs of pages as ranges of bytes. */
export function rangesOf(runs: readonly number[]): Range[] {
  const ranges: Range[] = [];
  for (let index = 0; index < runs.length; index += 2) {
    ranges.push({ address: BigInt(runs[index] ?? 0) * BigInt(pageSize), length: (runs[index + 1] ?? 0) * pageSize });
  }
  return ranges;
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

/** The same of a process that runs: false when something of it cannot be read (any more). */
export function readSome(pid: number, local: bigint, ranges: readonly Range[]): boolean {
  const { memory, length } = fillVectors(local, ranges);
  return syscall('process_vm_readv', pid, memory.address, 1, memory.address + 16n, ranges.length, 0) === length;
}

/** The same to the begin of `local`, also from mappings that the process itself may not read (PROT_NONE) while we trace it. */
export function readTraced(pid: number, local: LocalMemory, ranges: readonly Range[]): void {
  const { memory, length } = fillVectors(local.address, ranges);
  if (syscall('process_vm_readv', pid, memory.address, 1, memory.address + 16n, ranges.length, 0) === length) return;
  using file = new MemoryFile(pid);
  let at = 0;
  for (const range of ranges) {
    file.readInto(local.bytes.subarray(at, at + range.length), range.address);
    at += range.length;
  }
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
    this.readInto(bytes, address);
    return bytes;
  }

  readInto(bytes: Uint8Array, address: bigint): void {
    for (let done = 0; done < bytes.length;) {
      const got = readSync(this.#fd, bytes, done, bytes.length - done, Number(address) + done);
      if (got === 0) throw syscallError('read', -14, `Cannot read ${bytes.length} bytes at ${address.toString(16)}`);
      done += got;
    }
  }

  write(address: bigint, bytes: Uint8Array): void {
    const put = writeSync(this.#fd, bytes, 0, bytes.length, Number(address));
    if (put !== bytes.length) throw syscallError('write', -14, `Cannot write ${bytes.length} bytes at ${address.toString(16)}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}
