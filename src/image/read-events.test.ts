import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { ImageEvent } from './events.ts';
import { memorySource, readEvents, readEventsAsync } from './read-events.ts';
import { ImageReader, type ReaderOptions } from './reader.ts';
import { eventsOf, kinds, sampleImage, withOwnData } from './testing/fixture.ts';

const image = sampleImage();

/** The image in chunks of these lengths, over and over. */
async function* chunksOf(bytes: Uint8Array, lengths: readonly number[], closed?: () => void): AsyncGenerator<Uint8Array> {
  try {
    for (let at = 0, index = 0; at < bytes.length; index++) {
      const length = lengths[index % lengths.length] ?? 1;
      yield bytes.slice(at, at + length);
      at += length;
    }
  } finally {
    closed?.();
  }
}

async function collect(events: AsyncIterable<ImageEvent>): Promise<ImageEvent[]> {
  const all: ImageEvent[] = [];
  for await (const event of events) all.push(withOwnData(event));
  return all;
}

const variants: readonly ReaderOptions[] = [{}, { data: 'skip' }, { unknown: 'show' }];

/** Kinds that the reader makes up are equal in name only. */
const named = (event: ImageEvent): object => ({ ...event, kind: event.kind.name });

test('a source that reads little at a time gives the same events', () => {
  for (const options of variants) {
    const memory = memorySource(image);
    const source = { read: (into: Uint8Array): number => memory.read(into.subarray(0, 7)) };
    const events = [...readEvents(new ImageReader(kinds, options), source)].map(({ type, offset }) => [type, offset]);
    assert.deepEqual(
      events,
      eventsOf(image, options).map(({ type, offset }) => [type, offset]),
    );
    assert.equal(memory.position, image.length);
  }
});

test('chunks of any lengths give the same events', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc
        .array(fc.integer({ min: 0, max: 3000 }), { minLength: 1, maxLength: 5 })
        .filter((lengths) => lengths.some((n) => n > 100)),
      fc.constantFrom(...variants),
      async (lengths, options) => {
        const events = await collect(readEventsAsync(new ImageReader(kinds, options), chunksOf(image, lengths)));
        assert.deepEqual(events.map(named), eventsOf(image, options).map(named));
      },
    ),
    { numRuns: 40 },
  );
});

test('what follows the tail stays: in the stream, and in the last chunk', async () => {
  const stream = Readable.from([Buffer.from(image), Buffer.from('next')]);
  await collect(readEventsAsync(new ImageReader(kinds), stream));
  assert.equal(stream.destroyed, false);
  assert.equal(String(stream.read()), 'next');

  let rest: Uint8Array | undefined;
  const both = new Uint8Array([...image, 1, 2, 3]);
  const onRest = (bytes: Uint8Array): void => void (rest = bytes);
  await collect(readEventsAsync(new ImageReader(kinds), chunksOf(both, [both.length]), { onRest }));
  assert.deepEqual(rest, new Uint8Array([1, 2, 3]));
});

test('a cut off or damaged stream is an ImageError and is closed', async () => {
  let closed = 0;
  const count = (): void => void closed++;
  const damaged = image.slice();
  damaged[20]! ^= 1;
  for (const bytes of [image.subarray(0, 5000), damaged]) {
    await assert.rejects(collect(readEventsAsync(new ImageReader(kinds), chunksOf(bytes, [999], count))), { name: 'ImageError' });
  }
  assert.equal(closed, 2);
});

test('a consumer that stops early closes the stream', async () => {
  let closed = false;
  const source = chunksOf(image, [100], () => (closed = true));
  for await (const event of readEventsAsync(new ImageReader(kinds), source)) {
    assert.equal(event.kind.name, 'head');
    break;
  }
  assert.equal(closed, true);
});
