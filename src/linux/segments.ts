/** Segment descriptors, and those of a stopped task. Source: arch/x86/kernel/tls.c, arch/x86/include/uapi/asm/ldt.h. */
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

/** The descriptors of a table as the processor reads it: Intel SDM volume 3, 3.4.5. All that modify_ldt can make are present or have a size. */
export function decodeDescriptors(table: DataView): SegmentDescriptor[] {
  const found: SegmentDescriptor[] = [];
  for (let entry = 0; entry * 8 < table.byteLength; entry++) {
    const low = table.getUint32(entry * 8, true);
    const high = table.getUint32(entry * 8 + 4, true);
    if (low === 0 && high === 0) continue;
    const bit = (place: number): number => (high >>> place) & 1;
    const contents = (high >>> 10) & 3;
    const readOnly = bit(9) ^ 1;
    const [useable, seg32bit, inPages, notPresent] = [bit(20), bit(22), bit(23), bit(15) ^ 1];
    found.push({
      entry,
      base: ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff00_0000)) >>> 0,
      limit: (low & 0xffff) | (high & 0xf_0000),
      flags: seg32bit | (contents << 1) | (readOnly << 3) | (inPages << 4) | (notPresent << 5) | (useable << 6),
    });
  }
  return found;
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
