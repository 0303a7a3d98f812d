import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventsOf, head, MemorySink, sampleImage } from './testing/fixture.ts';
import { verify } from './verify.ts';
import { ImageWriter } from './writer.ts';

test('the summary of a whole image', () => {
  const image = sampleImage();
  const { digest, ...summary } = verify(eventsOf(image));
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.deepEqual(summary, {
    records: 19,
    bytes: image.length,
    head,
    dataBytes: 8292,
    pages: 3,
    kinds: { head: 1, book: 2, shelf: 2, loan: 2, sheets: 3, tail: 1 },
  });
});

test('writer and verify agree', () => {
  const sink = new MemorySink();
  const totals = new ImageWriter(sink, head).finish();
  const { records, bytes, digest } = verify(eventsOf(sink.bytes()));
  assert.deepEqual({ records, bytes, digest }, totals);
});

test('events that stop before the tail are no image', () => {
  assert.throws(() => verify(eventsOf(sampleImage()).slice(0, -1)), { name: 'ImageError' });
});
