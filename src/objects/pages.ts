/** Pages of the mapping around them: page numbers as runs, and their bytes. What is not stored is as the mapping gives it. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { StasisError } from '../errors.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { rangesOf, type Range } from '../linux/process-memory.ts';
import type { Span } from '../linux/pagemap.ts';
import type { ObjectKind } from './object.ts';

/** Pages per record, as many as a record may hold: each costs a switch between threads. */
export const pagesPerRecord = 1024;

export interface Pages {
  /** First page number, page count, first page number, …; a page number is an address divided by the page size. */
  readonly runs: readonly number[];
}

const record: RecordKind<Pages> = defineKind<Pages>({
  tag: 0x24,
  name: 'pages',
  data: true,
  parents: ['vma-anonymous', 'vma-private-file', 'vma-shared-memory', 'shared-memory', 'shared-segment'],
  schema: s.record({ runs: s.array(s.uint(), 2 * pagesPerRecord) }),
});

/** The most that a data record may hold. Source: docs/format.md. */
const maxData = 4 << 20;

/**
 * Where the bytes of records are gathered, or arrive: memory whose address the kernel can be told. Two pieces, so that one
 * can be filled while the other is still on its way.
 */
export class PageBuffers implements Disposable {
  static readonly #unused: (readonly [LocalMemory, LocalMemory])[] = [];
  readonly #pair = PageBuffers.#unused.pop() ?? [LocalMemory.allocate(maxData), LocalMemory.allocate(maxData)];
  #turn: 0 | 1 = 0;

  /** The one to fill next. */
  get next(): LocalMemory {
    return this.#pair[this.#turn];
  }

  /** What is in {@link next} is on its way now. */
  advance(): void {
    this.#turn = this.#turn === 0 ? 1 : 0;
  }

  [Symbol.dispose](): void {
    PageBuffers.#unused.push(this.#pair);
  }
}

export const pages: ObjectKind<Pages> = {
  record,
  title: 'Pages',
  carried: 'Every page that is not zero and, in file mappings, not equal to the file.',
  refused: '',
  restart(value, rebuild, { data }) {
    const vma = rebuild.finals.vma;
    if (data === undefined || vma === undefined) throw new StasisError('IMAGE', 'pages outside of a mapping');
    const ranges = rangesOf(value.runs);
    assertWithin(ranges, vma.spans);
    const total = ranges.reduce((sum, { length }) => sum + length, 0);
    if (total !== data.length) throw new StasisError('IMAGE', `A record of ${total} bytes of pages holds ${data.length}`);
    if (vma.store === undefined) rebuild.arrive(ranges, data);
    else vma.store(ranges, data);
  },
};

/** Runs and spans rise, so one pass over both is enough; a run that does not rise is outside too. */
function assertWithin(ranges: readonly Range[], spans: readonly Span[]): void {
  let low = 0;
  for (let high = spans.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.end ?? 0n) <= (ranges[0]?.address ?? 0n)) low = middle + 1;
    else high = middle;
  }
  for (const { address, length } of ranges) {
    while (low < spans.length && (spans[low]?.end ?? 0n) <= address) low++;
    const span = spans[low];
    if (span === undefined || address < span.start || address + BigInt(length) > span.end || length === 0)
      throw new StasisError('IMAGE', `Pages at ${address.toString(16)} lie outside of their mapping`);
  }
}
