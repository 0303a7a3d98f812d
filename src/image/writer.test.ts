import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { is } from './events.ts';
import { dataAlignment } from './framing.ts';
import { defineKind, type RecordKind } from './kind.ts';
import { KindTable } from './kind-table.ts';
import { s } from './schema.ts';
import { bookKind, eventsOf, head, imageOf, loanKind, MemorySink, pattern, sheetsKind, shelfKind } from './testing/fixture.ts';
import { type ByteSink, ImageWriter } from './writer.ts';

const bigKind: RecordKind<{ readonly bytes: Uint8Array }> = defineKind({
  tag: 0x30,
  name: 'big',
  parents: ['image'],
  schema: s.record({ bytes: s.bytes(1 << 20) }),
});
const bigTable = new KindTable([bookKind, shelfKind, bigKind]);
const shelf = { start: 1n, colour: 'red', wide: true } as const;
const book = { title: 'One' };

test('offset and totals are those of what the sink got', () => {
  const sink = new MemorySink();
  const writer = new ImageWriter(sink, head);
  writer.open(shelfKind, shelf);
  writer.data(sheetsKind, { runs: [1] }, pattern(5000, 0));
  assert.equal(writer.offset, sink.bytes().length);
  writer.close();
  const totals = writer.finish();
  assert.equal(totals.bytes, sink.bytes().length);
  assert.equal(writer.offset, totals.bytes);
  assert.equal(totals.records, 5);
  assert.match(totals.digest, /^[0-9a-f]{64}$/);
});

test('data is page aligned and goes to the sink with one call for each record', () => {
  const sink = new MemorySink();
  const writer = new ImageWriter(sink, head);
  writer.open(shelfKind, shelf);
  for (let index = 0; index < 5; index++) {
    writer.write(bookKind, { title: 'small' });
    writer.data(sheetsKind, { runs: [index] }, pattern(1000 + index, index));
  }
  assert.equal(sink.calls.length, 5);
  writer.close();
  writer.finish();
  const data = eventsOf(sink.bytes()).filter((event) => is(event, sheetsKind));
  assert.equal(data.length, 5);
  for (const event of data) assert.equal(event.dataOffset % dataAlignment, 0);
});

test('small records are gathered', () => {
  const sink = new MemorySink();
  const writer = new ImageWriter(sink, head);
  for (let index = 0; index < 10_000; index++) writer.write(bookKind, book);
  writer.finish();
  assert.ok(sink.calls.length < 15, `${sink.calls.length} calls`);
  assert.equal(eventsOf(sink.bytes()).length, 10_002);
});

test('payloads of any size come back', () => {
  for (const length of [0, 1, 60_000, 65_400, 65_440, 65_504, 65_505, 65_536, 1 << 20]) {
    const path = pattern(Math.min(length, 4096), 1);
    const image = imageOf((writer) => {
      writer.write(bookKind, { title: 'before' });
      writer.write(bigKind, { bytes: pattern(length, 2) });
      writer.write(bookKind, { title: 'after', path });
    });
    const events = eventsOf(image, {}, bigTable);
    assert.deepEqual(
      events.flatMap((event) => (is(event, bigKind) ? [event.value.bytes] : [])),
      [pattern(length, 2)],
    );
    assert.equal(events.length, 5);
  }
});

test('a crc32 that the caller has is taken as it is', () => {
  const data = pattern(100, 1);
  const write = (crc?: number): Uint8Array =>
    imageOf((writer) => {
      writer.open(shelfKind, shelf);
      writer.data(sheetsKind, { runs: [] }, data, crc);
      writer.close();
    });
  assert.deepEqual(write(crc32(data)), write());
  assert.throws(() => eventsOf(write(1)), /Data is damaged/);
});

test('wrong use throws, and leaves the image sound', () => {
  const sink = new MemorySink();
  const writer = new ImageWriter(sink, head);
  assert.throws(() => writer.write(shelfKind, shelf), /open\(\)/);
  assert.throws(() => writer.write(sheetsKind, { runs: [] }), /data\(\)/);
  assert.throws(() => writer.open(bookKind, book), /no container/);
  assert.throws(() => writer.close(), /No container is open/);
  assert.throws(() => writer.data(bookKind, book, new Uint8Array(1)), /no data/);
  assert.throws(() => writer.write(loanKind, { book: 1, days: [], flags: 0 }), /refers to object 1, which does not stand/);
  writer.write(bookKind, book, 1);
  assert.throws(() => writer.write(bookKind, book, 1), /Objref 1 .* already/);
  writer.open(shelfKind, shelf, 2);
  assert.throws(() => writer.write(loanKind, { book: 2, days: [], flags: 0 }), /a shelf and no book/);
  assert.throws(() => writer.write(loanKind, { book: 1, days: [], flags: 1 << 16 }), /Cannot write loan\.flags/);
  assert.throws(() => writer.data(sheetsKind, { runs: [] }, new Uint8Array((4 << 20) + 1)), /at most/);
  assert.throws(() => writer.finish(), /shelf record is still open/);
  writer.close();
  assert.throws(() => writer.write(loanKind, { book: 1, days: [], flags: 0 }), /cannot stand in image/);
  writer.finish();
  assert.throws(() => writer.write(bookKind, book), /has ended/);
  assert.throws(() => writer.finish(), /has ended/);
  assert.equal(eventsOf(sink.bytes()).length, 5);
});

test('an image that failed ends in an error record, inside of whatever was open', () => {
  const sink = new MemorySink();
  const writer = new ImageWriter(sink, head);
  writer.open(shelfKind, shelf);
  writer.fail(`the target vanished \ud800 ${'x'.repeat(100_000)}`);
  writer.fail('again');
  assert.throws(() => writer.close(), /has ended/);
  assert.throws(() => eventsOf(sink.bytes()), {
    name: 'ImageError',
    message: /its checkpoint failed: the target vanished \ufffd x/,
  });
});

test('a sink that throws ends the writing', () => {
  const sink: ByteSink = {
    write() {
      throw new Error('disk full');
    },
  };
  const writer = new ImageWriter(sink, head);
  assert.throws(() => writer.finish(), /disk full/);
  assert.throws(() => writer.write(bookKind, book), /failed write/);
  writer.fail('cannot be written either');
});
