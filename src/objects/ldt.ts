/**
 * The local descriptor table: segments that a process has made for itself, which emulators use. Source: man 2 modify_ldt,
 * arch/x86/kernel/ldt.c.
 */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { decodeDescriptors, encodeDescriptor, type SegmentDescriptor } from '../linux/segments.ts';
import type { Injector } from '../tracee/injector.ts';
import { node, type ImageNode, type ObjectKind } from './object.ts';

export interface Ldt {
  readonly descriptors: readonly SegmentDescriptor[];
}

/** LDT_ENTRIES, of 8 bytes each. Source: arch/x86/include/uapi/asm/ldt.h. */
const entries = 8192;
const dword = s.hex(s.uint(0xffff_ffff));

const record: RecordKind<Ldt> = defineKind<Ldt>({
  tag: 0x43,
  name: 'ldt',
  parents: ['task'],
  schema: s.record({
    descriptors: s.array(
      s.record({ entry: s.uint(entries - 1), base: dword, limit: dword, flags: s.hex(s.uint(0xff)) }),
      entries,
    ),
  }),
});

const READ = 0;
/** The present layout, which keeps all flags; 1 is an older one. */
const WRITE = 0x11;

export function collectLdt(injector: Injector): ImageNode[] {
  // The answer is 0 as long as there is none, else always the length that was asked for.
  if (injector.call('modify_ldt', [READ, injector.scratch, 8]) <= 0n) return [];
  injector.enlarge(entries * 8);
  injector.mustCall('modify_ldt', [READ, injector.scratch, entries * 8]);
  const descriptors = decodeDescriptors(injector.readScratch(entries * 8));
  return descriptors.length === 0 ? [] : [node(record, { descriptors })];
}

export const ldt: ObjectKind<Ldt> = {
  record,
  title: 'Local descriptor table (x86)',
  carried: 'Every segment that modify_ldt has made.',
  refused: 'At restart: 16-bit segments where the kernel has none.',

  restart({ descriptors }, rebuild) {
    rebuild.finals.calls.push(() => {
      for (const descriptor of descriptors) {
        rebuild.room(1, 32);
        const { batch } = rebuild;
        const bytes = encodeDescriptor(descriptor);
        batch.add(`make segment ${descriptor.entry}`, 'modify_ldt', [WRITE, batch.data(bytes), bytes.length]);
      }
    });
  },
};
