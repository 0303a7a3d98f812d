/** Kinds, and an image made of them, that show every trait of the format. For tests only. */
import type { ImageEvent } from '../events.ts';
import { emptyHead, type Head, headKind } from '../head.ts';
import { defineKind, type RecordKind } from '../kind.ts';
import { KindTable } from '../kind-table.ts';
import { memorySource, readEvents } from '../read-events.ts';
import { ImageReader, type ReaderOptions } from '../reader.ts';
import { s } from '../schema.ts';
import { tailKind } from '../tail.ts';
import { type ByteSink, ImageWriter } from '../writer.ts';

export interface Book {
  readonly title: string;
  readonly path?: Uint8Array | undefined;
}
/** A shared object. */
export const bookKind: RecordKind<Book> = defineKind<Book>({
  tag: 0x10,
  name: 'book',
  parents: ['image', 'shelf'],
  schema: s.record({ title: s.text(100), path: s.optional(s.bytes(4096)) }),
});

export interface Shelf {
  readonly start: bigint;
  readonly colour: 'red' | 'blue';
  readonly wide: boolean;
}
export const shelfKind: RecordKind<Shelf> = defineKind<Shelf>({
  tag: 0x11,
  name: 'shelf',
  container: true,
  parents: ['image', 'shelf'],
  schema: s.record({ start: s.hex(s.u64()), colour: s.oneOf('red', 'blue'), wide: s.bool() }),
  title: (shelf) => `at ${shelf.start.toString(16)}`,
});

export interface Loan {
  readonly book: number;
  readonly days: readonly (readonly [number, bigint])[];
  readonly flags: number;
}
/** Refers to a shared object. */
export const loanKind: RecordKind<Loan> = defineKind<Loan>({
  tag: 0x12,
  name: 'loan',
  parents: ['shelf'],
  schema: s.record({ book: s.objref('book'), days: s.array(s.tuple(s.int(), s.i64()), 64), flags: s.hex(s.uint(0xffff)) }),
});

export interface Sheets {
  readonly runs: readonly number[];
}
export const sheetsKind: RecordKind<Sheets> = defineKind<Sheets>({
  tag: 0x13,
  name: 'sheets',
  data: true,
  parents: ['shelf'],
  schema: s.record({ runs: s.array(s.uint(), 1024) }),
});

/** Written by a newer version: the readers of the tests do not know these two. */
export const noteKind: RecordKind<{ readonly text: string }> = defineKind({
  tag: 0x20,
  name: 'note',
  ignorable: true,
  parents: ['image', 'shelf', 'notebook'],
  schema: s.record({ text: s.text(1000) }),
});
export const notebookKind: RecordKind<{ readonly pages: number }> = defineKind({
  tag: 0x21,
  name: 'notebook',
  ignorable: true,
  container: true,
  parents: ['image', 'shelf', 'notebook'],
  schema: s.record({ pages: s.uint() }),
});

export const kinds: KindTable = new KindTable([bookKind, shelfKind, loanKind, sheetsKind]);

export const head: Head = {
  ...emptyHead,
  kernel: { release: '6.18.0', version: '#1 SMP' },
  cpu: { vendor: 'GenuineIntel', model: 'Model', features: ['fpu', 'avx512f'] },
  createdAt: 1_753_000_000_000,
  commandLine: ['./ckpt', 'ä'],
  host: 'host',
  stasis: '0.1.0',
};

/** Collects what is written to it. */
export class MemorySink implements ByteSink {
  readonly #parts: Uint8Array[] = [];
  /** bytes of each call */
  readonly calls: number[] = [];

  write(parts: readonly Uint8Array[]): void {
    this.calls.push(parts.reduce((sum, part) => sum + part.length, 0));
    for (const part of parts) this.#parts.push(part.slice());
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

/** The bytes of the image that `build` writes between head and tail. */
export function imageOf(build: (writer: ImageWriter) => void): Uint8Array {
  const sink = new MemorySink();
  const writer = new ImageWriter(sink, head);
  build(writer);
  writer.finish();
  return sink.bytes();
}

/** About 20 KiB with one record of every sort, unknown ones among them. */
export function sampleImage(): Uint8Array {
  return imageOf((writer) => {
    writer.write(bookKind, { title: 'First' }, 1);
    writer.open(shelfKind, { start: 0x7fff_ffff_f000n, colour: 'red', wide: true }, 3);
    writer.write(bookKind, { title: 'Second', path: new Uint8Array([47, 255, 0]) }, 2);
    writer.write(loanKind, { book: 1, days: [[-5, -(1n << 63n)], [7, 1n << 40n]], flags: 0x8002 }); // prettier-ignore
    writer.open(shelfKind, { start: 0n, colour: 'blue', wide: false });
    writer.data(sheetsKind, { runs: [0, 1, 5, 1] }, pattern(8192, 1));
    writer.data(sheetsKind, { runs: [] }, new Uint8Array(0));
    writer.data(sheetsKind, { runs: [9, 1] }, pattern(100, 2));
    writer.close();
    writer.write(noteKind, { text: 'from the future' });
    writer.open(notebookKind, { pages: 2 }, 4);
    writer.write(noteKind, { text: 'inside' });
    writer.open(notebookKind, { pages: 0 });
    writer.close();
    writer.close();
    writer.write(loanKind, { book: 2, days: [], flags: 0 });
    writer.close();
  });
}

export function pattern(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17 + (index >> 8)) & 0xff);
}

/** All events of an image in memory. */
export function eventsOf(image: Uint8Array, options?: ReaderOptions, table: KindTable = kinds): ImageEvent[] {
  return Array.from(readEvents(new ImageReader(table, options), memorySource(image)), withOwnData);
}

/** The event with a copy of its data, valid for good. */
export function withOwnData(event: ImageEvent): ImageEvent {
  return event.type !== 'close' && event.data !== undefined ? { ...event, data: event.data.slice() } : event;
}

/** Writes again what was read, unknown fields and records included. */
export function rewrite(image: Uint8Array, table: KindTable = kinds): Uint8Array {
  const sink = new MemorySink();
  let writer: ImageWriter | undefined;
  for (const event of readEvents(new ImageReader(table, { unknown: 'show' }), memorySource(image))) {
    if (event.type === 'close') writer?.close();
    else if (event.kind === headKind) writer = new ImageWriter(sink, event.value as Head);
    else if (event.kind === tailKind) writer?.finish();
    else if (event.data !== undefined) writer?.data(event.kind, event.value, event.data);
    else if (event.type === 'open') writer?.open(event.kind, event.value, event.objref);
    else writer?.write(event.kind, event.value, event.objref);
  }
  return sink.bytes();
}
