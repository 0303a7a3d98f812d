/**
 * Segment descriptors of a thread, where 32-bit programs have their thread-local storage: three entries of the global
 * descriptor table are its own. Source: man 2 set_thread_area, arch/x86/kernel/tls.c.
 */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { getThreadArea, setThreadArea, type SegmentDescriptor } from '../linux/segments.ts';
import type { ObjectKind, ThreadCollection } from './object.ts';

export interface Tls {
  readonly descriptors: readonly SegmentDescriptor[];
}

const dword = s.hex(s.uint(0xffff_ffff));

/** GDT_ENTRY_TLS_MIN to GDT_ENTRY_TLS_MAX of a 64-bit kernel. Source: arch/x86/include/asm/segment.h. */
const entries = [12, 13, 14];

const record: RecordKind<Tls> = defineKind<Tls>({
  tag: 0x42,
  name: 'tls',
  parents: ['thread'],
  schema: s.record({
    descriptors: s.array(s.record({ entry: s.uint(14), base: dword, limit: dword, flags: s.hex(s.uint(0xff)) }), entries.length),
  }),
});

/** undefined when there are none. A 64-bit program is asked only where it has loaded a segment: for it they cost and are not used. */
export function collectTls({ tid, tracee, settled }: ThreadCollection): Tls | undefined {
  const { ds = 0n, es = 0n, fs = 0n, gs = 0n } = settled.registers;
  if (tracee.architecture.name === 'x86_64' && (ds | es | fs | gs) === 0n) return undefined;
  const descriptors = entries.flatMap((entry) => getThreadArea(tid, entry) ?? []);
  return descriptors.length === 0 ? undefined : { descriptors };
}

export const tls: ObjectKind<Tls> = {
  record,
  title: 'Thread-local storage descriptors (x86)',
  carried: 'Base, limit and flags of the three descriptors that set_thread_area sets.',
  refused: '',

  restart({ descriptors }, rebuild) {
    rebuild.thread.calls.push(() => {
      for (const descriptor of descriptors) setThreadArea(rebuild.tracee.tid, descriptor);
    });
  },
};
