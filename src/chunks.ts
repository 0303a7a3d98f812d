/** An image as chunks that arrive one by one, so that reading a large one does not hold up the event loop. */
import { createReadStream, read } from 'node:fs';
import { promisify } from 'node:util';
import { readError } from './descriptor.ts';
import { StasisError } from './errors.ts';
import type { Source } from './source.ts';

/** Twice the time to verify so much is the longest that the event loop has to wait. */
const chunkSize = 1 << 20;

/** Whatever goes wrong is a StasisError, ABORTED after the signal. Leaving the loop closes what was opened, and a given stream. */
export async function* chunksOf(
  source: Source | AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const name = nameOf(source);
  try {
    for await (const chunk of isStream(source) ? source : opened(source)) {
      if (signal?.aborted === true) break;
      if (!(chunk instanceof Uint8Array)) throw new TypeError(`it gives a ${typeof chunk} instead of bytes`);
      yield chunk;
    }
  } catch (error) {
    const known = readError(error, name);
    if (known instanceof StasisError) throw known;
    throw new StasisError(
      'FAILED',
      `Cannot read the image from ${name}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
  if (signal?.aborted === true) throw new StasisError('ABORTED', 'The operation was aborted', { cause: signal.reason });
}

function opened(source: Source): AsyncIterable<Uint8Array> {
  return 'fd' in source ? readDescriptor(source.fd) : createReadStream(source.path, { highWaterMark: chunkSize });
}

const readSome = promisify(read);

/** Not a stream: one that is left early closes its descriptor, whatever autoClose says, and this one is the caller's. */
async function* readDescriptor(fd: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const { bytesRead, buffer } = await readSome(fd, Buffer.allocUnsafe(chunkSize), 0, chunkSize, null);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

function isStream(source: Source | AsyncIterable<Uint8Array>): source is AsyncIterable<Uint8Array> {
  return Symbol.asyncIterator in source;
}

function nameOf(source: Source | AsyncIterable<Uint8Array>): string {
  if (isStream(source)) return 'the stream';
  return 'fd' in source ? `descriptor ${source.fd}` : source.path;
}
