/** 32-bit system calls of this process: the kernel keeps some things apart by which way they came. */
import { callCode, LocalMemory } from '../linux/ffi.ts';
import { i386Numbers } from '../linux/syscalls-i386.ts';
import { call32Code } from './i386-code.ts';

let memory: LocalMemory | undefined;
const dataOffset = 2048;

/** The robust futex list that a 32-bit program registered. Source: kernel/futex/syscalls.c (compat_robust_list). */
export function getRobustList32(tid: number): { head: bigint; length: bigint } | undefined {
  memory ??= LocalMemory.allocateLow(4096);
  memory.bytes.set(call32Code);
  const out = memory.address + BigInt(dataOffset);
  if (callCode(memory.address, i386Numbers.get_robust_list, tid, out, out + 4n) !== 0) return undefined;
  return {
    head: BigInt(memory.view.getUint32(dataOffset, true)),
    length: BigInt(memory.view.getUint32(dataOffset + 4, true)),
  };
}
