/** Pages on their way into the image by way of a codec: while some are compressed by other threads, the next are read. */
import type { Compressor } from './compression.ts';
import type { ImageWriter } from './image/writer.ts';
import { LocalMemory } from './linux/ffi.ts';
import { pageSize, type PageRuns } from './linux/pagemap.ts';
import { maxData, pages } from './objects/pages.ts';

interface Slot {
  readonly raw: LocalMemory;
  readonly packed: LocalMemory;
  runs: PageRuns;
  bytes: number;
  length: Promise<number | undefined>;
}

/** Being compressed at once; one slot more is on its way to the sink. */
const atOnce = 3;

export class CompressedPages implements Disposable {
  static readonly #unused: Slot[][] = [];
  readonly #compressor: Compressor;
  readonly #free: Slot[] = CompressedPages.#unused.pop() ?? Array.from({ length: atOnce + 1 }, makeSlot);
  readonly #queue: Slot[] = [];
  #leaving: Slot | undefined;

  constructor(compressor: Compressor) {
    this.#compressor = compressor;
  }

  /** Where the next pages are to be read to. There is always room after {@link settle} has been run through. */
  get next(): LocalMemory {
    return this.#slot.raw;
  }

  get #slot(): Slot {
    const slot = this.#free.at(-1);
    if (slot === undefined) throw new RangeError('all slots are in use');
    return slot;
  }

  /** The pages of these runs are in {@link next}. */
  add(runs: PageRuns, count: number): void {
    const slot = this.#slot;
    this.#free.pop();
    const { codec, level } = this.#compressor;
    slot.runs = runs;
    slot.bytes = count * pageSize;
    slot.length = codec.compress(slot.raw.bytes.subarray(0, slot.bytes), slot.packed.bytes.subarray(0, slot.bytes), level);
    slot.length.catch(() => {}); // awaited later, and only then a failure
    this.#queue.push(slot);
  }

  /**
   * Writes what is ready until at most `left` are being compressed. Yields a promise to be awaited; then the record before it
   * must have left its buffer too. Gives the bytes of memory written.
   */
  *settle(writer: ImageWriter, left: number = atOnce - 1): Generator<Promise<unknown>, number> {
    let written = 0;
    while (this.#queue.length > left) {
      const slot = this.#queue[0]!;
      let length: number | undefined;
      yield slot.length.then((value) => (length = value));
      this.#queue.shift();
      if (this.#leaving !== undefined) this.#free.push(this.#leaving);
      const { runs, bytes, raw, packed } = slot;
      if (length === undefined) writer.data(pages.record, { runs }, raw.bytes.subarray(0, bytes));
      else writer.data(pages.record, { runs, codec: this.#compressor.name }, packed.bytes.subarray(0, length));
      this.#leaving = slot;
      written += bytes;
    }
    return written;
  }

  /** Memory that a thread still works on is not given to anybody else. */
  [Symbol.dispose](): void {
    const slots = [...this.#free, ...this.#queue, ...(this.#leaving === undefined ? [] : [this.#leaving])];
    void Promise.allSettled(slots.map(({ length }) => length)).then(() => CompressedPages.#unused.push(slots));
  }
}

function makeSlot(): Slot {
  const [raw, packed] = [LocalMemory.allocate(maxData), LocalMemory.allocate(maxData)];
  return { raw, packed, runs: [], bytes: 0, length: Promise.resolve(undefined) };
}
