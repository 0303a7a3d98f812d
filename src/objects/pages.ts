/** Pages of the mapping around them: page numbers as runs, and their bytes. What is not stored is as the mapping gives it. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { StasisError } from '../errors.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { rangesOf, type Range } from '../linux/process-memory.ts';
import { codecNames, codecOf, type CodecName } from '../linux/codecs.ts';
import { pageSize, type Span } from '../linux/pagemap.ts';
import type { FilePlace, ObjectKind, Rebuild } from './object.ts';

/** Pages per record, as many as a record may hold: each costs a switch between threads. */
export const pagesPerRecord = 1024;

export interface Pages {
  /** First page number, page count, first page number, …; a page number is an address divided by the page size. */
  readonly runs: readonly number[];
  /** How the data is compressed; absent: not at all. */
  readonly codec?: CodecName | undefined;
}

const record: RecordKind<Pages> = defineKind<Pages>({
  tag: 0x24,
  name: 'pages',
  data: true,
  parents: ['vma-anonymous', 'vma-private-file', 'vma-shared-memory', 'shared-memory', 'carried-file', 'shared-segment'],
  schema: s.record({ runs: s.array(s.uint(), 2 * pagesPerRecord), codec: s.optional(s.oneOf(...codecNames)) }),
  memory: (value) => bytesOf(value),
});

/** The most that a data record may hold. Source: docs/format.md. */
export const maxData: number = 4 << 20;

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
  restart(value, rebuild, { data, file }) {
    if (data === undefined) throw new StasisError('IMAGE', 'A record of pages without data');
    if (value.codec === undefined) placePages(rebuild, value.runs, data, file);
    else placePages(rebuild, value.runs, unpack(value.codec, data, bytesOf(value)));
  },
};

/** Gives pages of the mapping that is being filled their content, which lies in `file` too, if that is given. */
export function placePages(rebuild: Rebuild, runs: readonly number[], content: Uint8Array, file?: FilePlace): void {
  const vma = rebuild.finals.vma;
  if (vma === undefined) throw new StasisError('IMAGE', 'pages outside of a mapping');
  const ranges = rangesOf(runs);
  assertWithin(ranges, vma.spans);
  const total = ranges.reduce((sum, { length }) => sum + length, 0);
  if (total !== content.length) throw new StasisError('IMAGE', `A record of ${total} bytes of pages holds ${content.length}`);
  if (vma.store === undefined) rebuild.arrive(ranges, content, file);
  else vma.store(ranges, content);
}

/** The content of a compressed record, in memory that the next one uses again. */
export function unpack(name: CodecName, data: Uint8Array, total: number): Uint8Array {
  if (total > maxData) throw new StasisError('IMAGE', `A record holds ${total} bytes of pages, at most ${maxData} are allowed`);
  const codec = codecOf(name, `Cannot read memory compressed with ${name}`);
  const content = LocalMemory.scratch('unpack', maxData).bytes.subarray(0, total);
  if (!codec.decompress(data, content)) throw new StasisError('IMAGE', `Memory compressed with ${name} cannot be unpacked`);
  return content;
}

/** Bytes of memory in a record. */
export function bytesOf({ runs }: Pages): number {
  return runs.reduce((sum, count, index) => (index % 2 === 1 ? sum + count : sum), 0) * pageSize;
}

/** Runs and spans rise, so one pass over both is enough; a run that does not rise is outside too. */
export function assertWithin(ranges: readonly Range[], spans: readonly Span[]): void {
  let low = 0;
  for (let high = spans.length; low < high;) {
    const middle = (low + high) >> 1;
    if ((spans[middle]?.end ?? 0n) <= (ranges[0]?.address ?? 0n)) low = middle + 1;
    else high = middle;
  }
  for (const { address, length } of ranges) {
    while (low < spans.length && (spans[low]?.end ?? 0n) <= address) low++;
    const first = spans[low];
    const end = address + BigInt(length);
    // Mappings that are alike may lie side by side: the kernel cannot join all that look the same.
    while (low + 1 < spans.length && (spans[low]?.end ?? 0n) < end && spans[low + 1]?.start === spans[low]?.end) low++;
    if (first === undefined || address < first.start || end > (spans[low]?.end ?? 0n) || length === 0)
      throw new StasisError('IMAGE', `Pages at ${address.toString(16)} lie outside of their mapping`);
  }
}
