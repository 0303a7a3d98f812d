import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ImageError } from '../errors.ts';
import { type ImageEvent, is } from './events.ts';
import { encodePreamble, preambleSize } from './framing.ts';
import { headKind } from './head.ts';
import { KindTable } from './kind-table.ts';
import { readEvents } from './read-events.ts';
import { ImageReader } from './reader.ts';
import { tailKind } from './tail.ts';
import { bookKind, eventsOf, head, imageOf, kinds, loanKind, notebookKind, noteKind, pattern } from './testing/fixture.ts';
import { MemorySink, rewrite, sampleImage, sheetsKind, shelfKind } from './testing/fixture.ts';
import { ImageWriter } from './writer.ts';

const withNotes = new KindTable([bookKind, shelfKind, loanKind, sheetsKind, noteKind, notebookKind]);
const shelf = { start: 1n, colour: 'red', wide: true } as const;

/** A tree of records, and how it is written. */
type Plan =
  | { readonly type: 'book'; readonly title: string; readonly shared: boolean }
  | { readonly type: 'sheets'; readonly runs: number[]; readonly data: Uint8Array }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'shelf' | 'notebook'; readonly start: bigint; readonly inside: Plan[] };

const title = fc.string({ maxLength: 20 });
const { inShelf } = fc.letrec<{ inShelf: Plan; inNotebook: Plan }>((tie) => ({
  inShelf: fc.oneof(
    { maxDepth: 3 },
    fc.record({ type: fc.constant('book' as const), title, shared: fc.boolean() }),
    fc.record({
      type: fc.constant('sheets' as const),
      runs: fc.array(fc.nat(), { maxLength: 5 }),
      data: fc.uint8Array({ maxLength: 9000 }),
    }),
    fc.record({ type: fc.constant('note' as const), text: title }),
    fc.record({
      type: fc.constant('shelf' as const),
      start: fc.bigInt(0n, (1n << 64n) - 1n),
      inside: fc.array(tie('inShelf'), { maxLength: 4 }),
    }),
    fc.record({
      type: fc.constant('notebook' as const),
      start: fc.constant(0n),
      inside: fc.array(tie('inNotebook'), { maxLength: 4 }),
    }),
  ),
  inNotebook: fc.oneof(
    { maxDepth: 3 },
    fc.record({ type: fc.constant('note' as const), text: title }),
    fc.record({
      type: fc.constant('notebook' as const),
      start: fc.constant(0n),
      inside: fc.array(tie('inNotebook'), { maxLength: 4 }),
    }),
  ),
}));

/** Writes the plans, and gives the events that a reader that knows all kinds must bring. */
function write(
  writer: ImageWriter,
  plans: readonly Plan[],
  depth: number,
  expected: unknown[][],
  counter: { next: number },
): void {
  for (const plan of plans) {
    if (plan.type === 'book') {
      const objref = plan.shared ? counter.next++ : 0;
      writer.write(bookKind, { title: plan.title }, objref);
      expected.push(['leaf', 'book', depth, objref, { title: plan.title }]);
    } else if (plan.type === 'sheets') {
      writer.data(sheetsKind, { runs: plan.runs }, plan.data);
      expected.push(['leaf', 'sheets', depth, 0, { runs: plan.runs }, plan.data]);
    } else if (plan.type === 'note') {
      writer.write(noteKind, { text: plan.text });
      expected.push(['leaf', 'note', depth, 0, { text: plan.text }]);
    } else {
      const objref = counter.next++;
      if (plan.type === 'shelf') {
        const value = { start: plan.start, colour: 'red', wide: false } as const;
        writer.open(shelfKind, value, objref);
        expected.push(['open', 'shelf', depth, objref, value]);
      } else {
        writer.open(notebookKind, { pages: 1 }, objref);
        expected.push(['open', 'notebook', depth, objref, { pages: 1 }]);
      }
      write(writer, plan.inside, depth + 1, expected, counter);
      writer.close();
      expected.push(['close', plan.type, depth]);
    }
  }
}

const plain = (event: ImageEvent): unknown[] =>
  event.type === 'close'
    ? ['close', event.kind.name, event.depth]
    : [event.type, event.kind.name, event.depth, event.objref, event.value, ...(event.data === undefined ? [] : [event.data])];

test('what was written is read: by who knows all kinds, by who does not, and after a rewrite', () => {
  fc.assert(
    fc.property(fc.array(inShelf, { maxLength: 5 }), (plans) => {
      const expected: unknown[][] = [];
      const image = imageOf((writer) => {
        writer.open(shelfKind, shelf);
        write(writer, plans, 1, expected, { next: 1 });
        writer.close();
      });
      const events = eventsOf(image, {}, withNotes);
      assert.deepEqual(events.slice(2, -2).map(plain), expected);
      assert.deepEqual(
        events.slice(1).map((event) => event.offset),
        events.slice(0, -1).map((event) => event.end),
      );
      assert.deepEqual(rewrite(image, withNotes), image);
      assert.deepEqual(rewrite(image, kinds), image);

      let hidden = 0;
      const known = expected.filter(([type, kind]) => {
        if (kind === 'notebook' && type === 'open') hidden++;
        const keep = hidden === 0 && kind !== 'note';
        if (kind === 'notebook' && type === 'close') hidden--;
        return keep;
      });
      assert.deepEqual(eventsOf(image).slice(2, -2).map(plain), known);
    }),
    { numRuns: 60 },
  );
});

test('every prefix of an image ends without its tail record', () => {
  const image = sampleImage();
  for (let length = 0; length < image.length; length = length < 700 || length > image.length - 300 ? length + 1 : length + 97) {
    const reason = length === 0 ? /empty/ : /ends without its tail record/;
    assert.throws(() => eventsOf(image.subarray(0, length)), { name: 'ImageError', message: reason, offset: length });
  }
});

test('every flipped bit is noticed', () => {
  const image = sampleImage();
  for (let bit = 0; bit < image.length * 8; bit += 61) {
    const damaged = image.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => eventsOf(damaged), ImageError, `bit ${bit}`);
  }
});

test('random bytes are no image, with and without a good preamble', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), fc.boolean(), (bytes, preamble) => {
      const image = preamble ? new Uint8Array([...encodePreamble(), ...bytes]) : bytes;
      assert.throws(() => eventsOf(image), ImageError);
    }),
  );
});

test('what stands behind the tail is not read', () => {
  const image = sampleImage();
  let asked = 0;
  const source = {
    read(into: Uint8Array): number {
      into.set(image.subarray(asked, asked + into.length));
      asked += into.length;
      return into.length;
    },
  };
  assert.equal([...readEvents(new ImageReader(kinds), source)].at(-1)?.kind, tailKind);
  assert.equal(asked, image.length);
});

test('is() tells kinds, and gives the value its type', () => {
  const first = eventsOf(sampleImage())[0];
  assert.ok(first !== undefined && is(first, headKind));
  assert.deepEqual(first.value, head);
  assert.equal(is(first, bookKind), false);
});

test('a kind that is neither known nor ignorable ends the reading', () => {
  assert.throws(() => eventsOf(sampleImage(), {}, new KindTable([{ ...bookKind, parents: ['image'] }])), {
    message: /unknown kind 0x11/,
    hint: /newer Stasis/,
  });
});

test('data can be skipped, left unchecked, or read to where the caller wants it', () => {
  const image = sampleImage();
  const skipped = eventsOf(image, { data: 'skip' }).filter((event) => is(event, sheetsKind));
  assert.deepEqual(skipped.map((event) => event.data), [undefined, undefined, undefined]); // prettier-ignore
  assert.deepEqual(skipped.map((event) => event.dataLength), [8192, 0, 100]); // prettier-ignore
  for (const { dataOffset, dataLength, value } of skipped) {
    if (dataLength > 0)
      assert.deepEqual(image.subarray(dataOffset, dataOffset + dataLength), pattern(dataLength, value.runs[0] === 9 ? 2 : 1));
  }
  const damaged = image.slice();
  damaged[skipped[0]!.dataOffset]! ^= 1;
  assert.throws(() => eventsOf(damaged), /Data is damaged/);
  assert.equal(eventsOf(damaged, { data: 'read' }).length, eventsOf(image).length);
  assert.equal(eventsOf(damaged, { data: 'skip' }).length, eventsOf(image).length);

  const own = new Uint8Array(1 << 16);
  for (const event of readEvents(new ImageReader(kinds, { buffer: () => own }), sourceOf(image))) {
    if (event.type !== 'close' && event.data !== undefined) assert.equal(event.data.buffer, own.buffer);
  }
});

function sourceOf(image: Uint8Array): { read(into: Uint8Array): number } {
  let at = 0;
  return {
    read(into) {
      const part = image.subarray(at, at + into.length);
      into.set(part);
      at += part.length;
      return part.length;
    },
  };
}

test('limits can be lowered', () => {
  const image = sampleImage();
  assert.throws(() => eventsOf(image, { limits: { depth: 1 } }), /nested deeper than 1/);
  assert.throws(() => eventsOf(image, { limits: { data: 8191 } }), /8192 bytes of data, at most 8191/);
  assert.throws(() => eventsOf(image, { limits: { payload: 10 } }), /payload/);
  assert.throws(() => eventsOf(image, { limits: { objref: 2 } }), /objref 3/);
});

test('a newer revision is refused by name', () => {
  const image = sampleImage();
  image.set(encodePreamble(2));
  assert.throws(() => eventsOf(image), { offset: 8, message: /format revision 2, this Stasis reads up to 1/, hint: /newer/ });
  assert.equal(preambleSize, 16);
});

test('a head that no machine can have is refused', () => {
  assert.throws(() => eventsOf(withPageSize(0)), { path: 'head.pageSize' });
  assert.throws(() => eventsOf(withPageSize(5000)), { path: 'head.pageSize' });
  assert.equal(eventsOf(withPageSize(65_536)).length, 2);
});

function withPageSize(pageSize: number): Uint8Array {
  const sink = new MemorySink();
  new ImageWriter(sink, { ...head, pageSize }).finish();
  return sink.bytes();
}
