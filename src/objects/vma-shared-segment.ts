/** System V shared memory as it is attached. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { pageSize } from '../linux/pagemap.ts';
import { node, type ObjectKind, type Rebuild } from './object.ts';
import { referToSegment, segmentOf } from './shared-segment.ts';
import { closeMapping, completeMapping, isBlocker, mappingBase, mappingFields, PROT, type MappingBase, type VmaKind } from './vma.ts'; // prettier-ignore

export interface SharedSegmentMapping extends MappingBase {
  /** objref of the segment. */
  readonly segment: number;
  /** Bytes into it. */
  readonly offset: bigint;
  /** SHM_RDONLY. */
  readonly readOnly: boolean;
}

const record: RecordKind<SharedSegmentMapping> = defineKind<SharedSegmentMapping>({
  tag: 0x26,
  name: 'vma-shared-segment',
  container: true,
  parents: ['mm'],
  schema: s.record({ ...mappingFields, segment: s.objref('shared-segment'), offset: s.hex(s.u64()), readOnly: s.bool() }),
});

export const vmaSharedSegment: ObjectKind<SharedSegmentMapping> & VmaKind = {
  record,
  title: 'Attached System V shared memory',
  carried: 'Which segment, its address, read-only or not, protection, advice; parts that were left of it.',
  refused: '',

  recognise: ({ shared, path }) => shared && path.startsWith('/SYSV'),

  collect(vma, collection) {
    const base = mappingBase(vma, [], new Set(['ht', 'de']));
    if (isBlocker(base)) return base;
    const segment = referToSegment(vma, collection);
    if (isBlocker(segment)) return segment;
    const value = { ...base, segment: segment.objref, offset: vma.offset, readOnly: !vma.vmFlags.has('mw') };
    return [...segment.before, node(record, value, { children: [] })];
  },

  restart(value, rebuild) {
    attach(value, rebuild);
    completeMapping(value, rebuild, PROT.READ | (value.readOnly ? 0 : PROT.WRITE));
  },

  close: closeMapping,
};

function attach({ segment, start, end, offset, readOnly }: SharedSegmentMapping, rebuild: Rebuild): void {
  const { now, size, hugePage } = segmentOf(rebuild, segment);
  const SHM_RDONLY = readOnly ? 0o10000 : 0;
  const unit = BigInt(hugePage ?? pageSize);
  const whole = ((size + unit - 1n) / unit) * unit;
  rebuild.room(1);
  if (offset === 0n && end - start === whole) {
    rebuild.batch.add(`attach segment ${now}`, 'shmat', [now, start, SHM_RDONLY]);
    return;
  }
  // All of it can be attached only: to a free place, then the part moves to its own and the rest is given up. Asked the
  // program's way, the kernel finds a place within the program's address space.
  const index = rebuild.batch.addProgramCall(`attach segment ${now}`, 'shmat', [now, 0, SHM_RDONLY]);
  const at = rebuild.flush()[index] ?? 0n;
  const MREMAP_MAYMOVE_FIXED = 3;
  const length = end - start;
  rebuild.room(3);
  const { batch } = rebuild;
  batch.add('move a part of a segment', 'mremap', [at + offset, length, length, MREMAP_MAYMOVE_FIXED, start]);
  if (offset > 0n) batch.add('give up a part of a segment', 'munmap', [at, offset]);
  const rest = whole - offset - length;
  if (rest > 0n) batch.add('give up a part of a segment', 'munmap', [at + offset + length, rest]);
}
