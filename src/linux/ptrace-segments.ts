/** Segment descriptors of a stopped task. Source: arch/x86/kernel/tls.c, arch/x86/include/uapi/asm/ldt.h. */
import { user_desc } from './abi/compat.ts';
import { LocalMemory } from './ffi.ts';
import { mustPtrace } from './ptrace.ts';

export interface SegmentDescriptor {
  readonly entry: number;
  readonly base: number;
  readonly limit: number;
  /** The bits of struct user_desc from seg_32bit on. */
  readonly flags: number;
}

const PTRACE_GET_THREAD_AREA = 25;
const PTRACE_SET_THREAD_AREA = 26;
const flagsOffset = 12;
/** LDT_empty: read_exec_only and seg_not_present, everything else zero. */
const emptyFlags = 0x28;

export function encodeDescriptor({ entry, base, limit, flags }: SegmentDescriptor): Uint8Array {
  const bytes = user_desc.make({ entry_number: entry, base_addr: base, limit });
  new DataView(bytes.buffer).setUint32(flagsOffset, flags, true);
  return bytes;
}

/** undefined for an empty one. */
export function getThreadArea(tid: number, entry: number): SegmentDescriptor | undefined {
  const memory = LocalMemory.scratch('segment', user_desc.size);
  memory.bytes.fill(0, 0, user_desc.size);
  mustPtrace(PTRACE_GET_THREAD_AREA, tid, `Cannot read segment descriptor ${entry} of ${tid}`, entry, memory.address);
  const { base_addr: base, limit } = user_desc.read(memory.view);
  const flags = memory.view.getUint32(flagsOffset, true);
  return base === 0 && limit === 0 && flags === emptyFlags ? undefined : { entry, base, limit, flags };
}

export function setThreadArea(tid: number, descriptor: SegmentDescriptor): void {
  const memory = LocalMemory.scratch('segment', user_desc.size);
  memory.bytes.set(encodeDescriptor(descriptor));
  const action = `Cannot set segment descriptor ${descriptor.entry} of ${tid}`;
  mustPtrace(PTRACE_SET_THREAD_AREA, tid, action, descriptor.entry, memory.address);
}
