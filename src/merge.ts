/** The story of `stasis merge`: an image and all that it is based on become one image that needs no other. */
import { LocalMemory } from './linux/ffi.ts';
import { linkFile } from './linux/link-file.ts';
import { pageSize } from './linux/pagemap.ts';
import { openBase, type EarlierImage } from './earlier-image.ts';
import { ImageError } from './errors.ts';
import type { ImageEvent } from './image/events.ts';
import { is } from './image/events.ts';
import { headKind } from './image/head.ts';
import { readEvents } from './image/read-events.ts';
import { ImageReader } from './image/reader.ts';
import { tailKind } from './image/tail.ts';
import { ImageWriter, type ImageTotals } from './image/writer.ts';
import { maxData, pages, pagesPerRecord } from './objects/pages.ts';
import { pagesKept, piecesOf, type PagesKept } from './objects/pages-kept.ts';
import { kinds } from './objects/registry.ts';
import { beside } from './restart.ts';
import { openSink, type OpenSink, type Sink } from './sink.ts';
import { openSource, type Source } from './source.ts';

/** Errors: ImageError, also for a base that is missing or another; FAILED. */
export function merge(source: Source, sink: Sink, options: { readonly baseDirectories?: readonly string[] } = {}): ImageTotals {
  using input = openSource(source);
  using output = openSink(sink, { linkFile });
  const merging = new Merging(output, beside(source, options.baseDirectories));
  try {
    for (const event of readEvents(new ImageReader(kinds, { unknown: 'show' }), input)) merging.add(event);
    const totals = merging.finish();
    output.commit();
    return totals;
  } finally {
    merging[Symbol.dispose]();
  }
}

class Merging implements Disposable {
  readonly #output: OpenSink;
  readonly #directories: readonly string[];
  #writer: ImageWriter | undefined;
  #base: EarlierImage | undefined;
  #totals: ImageTotals | undefined;

  constructor(output: OpenSink, directories: readonly string[]) {
    this.#output = output;
    this.#directories = directories;
  }

  add(event: ImageEvent): void {
    if (event.type !== 'close' && is(event, headKind)) {
      const { base, ...head } = event.value;
      if (base !== undefined) this.#base = openBase(base, { directories: this.#directories });
      this.#writer = new ImageWriter(this.#output, head);
      return;
    }
    const writer = this.#writer ?? cutOff();
    if (event.type === 'close') writer.close();
    else if (is(event, tailKind)) this.#totals = writer.finish();
    else if (is(event, pagesKept.record)) this.#copy(event.value, writer);
    else if (event.type === 'open') writer.open(event.kind, event.value, event.objref);
    else if (event.data !== undefined) writer.data(event.kind, event.value, event.data, event.dataCrc);
    else writer.write(event.kind, event.value, event.objref);
  }

  #copy({ runs, of }: PagesKept, writer: ImageWriter): void {
    if (this.#base === undefined) throw new ImageError('The image takes pages from a base and names none', 0);
    const content = LocalMemory.scratch('pages kept', maxData).bytes;
    for (const piece of piecesOf(runs, pagesPerRecord)) {
      const count = piece.reduce((sum, value, index) => (index % 2 === 1 ? sum + value : sum), 0);
      const bytes = content.subarray(0, count * pageSize);
      this.#base.read(of, piece, bytes);
      writer.data(pages.record, { runs: piece }, bytes);
    }
  }

  finish(): ImageTotals {
    return this.#totals ?? cutOff();
  }

  [Symbol.dispose](): void {
    this.#base?.[Symbol.dispose]();
  }
}

function cutOff(): never {
  throw new ImageError('The image was not read to its end', 0);
}
