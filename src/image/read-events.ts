import type { ImageEvent } from './events.ts';
import type { ImageReader } from './reader.ts';

/** Where an image comes from. */
export interface ByteSource {
  /** Reads some bytes to the begin of `into`; answers how many, 0 at the end of the input. */
  read(into: Uint8Array): number;
  /** Passes over bytes without reading them, for a file. May go beyond its end. */
  skip?(bytes: number): void;
}

/** The events of an image from a source that is read synchronously; leaves the source right behind the tail. */
export function* readEvents(reader: ImageReader, source: ByteSource): Generator<ImageEvent, void, undefined> {
  const steps = reader.events();
  let answer = 0;
  for (;;) {
    const step = steps.next(answer);
    if (step.done === true) return;
    const wanted = step.value;
    if (wanted instanceof Uint8Array) answer = fill(source, wanted);
    else if ('skip' in wanted) pass(source, wanted.skip);
    else yield wanted;
  }
}

function fill(source: ByteSource, into: Uint8Array): number {
  let filled = source.read(into);
  if (filled === into.length) return filled;
  for (let more = filled; more > 0 && filled < into.length; filled += more) more = source.read(into.subarray(filled));
  return filled;
}

const skipBufferSize = 64 << 10;

function pass(source: ByteSource, bytes: number): void {
  if (source.skip !== undefined) {
    source.skip(bytes);
    return;
  }
  const scratch = new Uint8Array(Math.min(bytes, skipBufferSize));
  for (let left = bytes; left > 0;) {
    const count = source.read(scratch.subarray(0, Math.min(left, scratch.length)));
    if (count === 0) return; // the next read says so
    left -= count;
  }
}

/** A source that reads from memory. */
export function memorySource(bytes: Uint8Array): ByteSource & { readonly position: number } {
  let position = 0;
  return {
    get position() {
      return position;
    },
    read(into) {
      const count = Math.max(0, Math.min(into.length, bytes.length - position));
      into.set(bytes.subarray(position, position + count));
      position += count;
      return count;
    },
    skip(count) {
      position += count;
    },
  };
}

export interface AsyncReadOptions {
  /** Receives what stood behind the tail in the last chunk that was taken from the input. */
  readonly onRest?: (rest: Uint8Array) => void;
}

/**
 * The events of an image that arrives in chunks, e.g. from a Node or a web stream. When the image is whole the input is not
 * closed: it may go on. When reading fails, or stops early, it is.
 */
export async function* readEventsAsync(
  reader: ImageReader,
  source: AsyncIterable<Uint8Array>,
  options: AsyncReadOptions = {},
): AsyncGenerator<ImageEvent, void, undefined> {
  const chunks = new ChunkQueue(source);
  const steps = reader.events();
  let answer = 0;
  let whole = false;
  try {
    for (;;) {
      const step = steps.next(answer);
      if (step.done === true) break;
      const wanted = step.value;
      if (wanted instanceof Uint8Array) answer = await chunks.take(wanted.length, wanted);
      else if ('skip' in wanted) await chunks.take(wanted.skip);
      else yield wanted;
    }
    whole = true;
    if (chunks.rest.length > 0) options.onRest?.(chunks.rest);
  } finally {
    if (!whole) await chunks.close();
  }
}

class ChunkQueue {
  readonly #input: AsyncIterator<Uint8Array>;
  rest: Uint8Array = new Uint8Array(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#input = source[Symbol.asyncIterator]();
  }

  /** Takes this many bytes, copies them when there is a place for them; answers how many there were. */
  async take(bytes: number, into?: Uint8Array): Promise<number> {
    let taken = 0;
    while (taken < bytes) {
      if (this.rest.length === 0) {
        const next = await this.#input.next();
        if (next.done === true) break;
        this.rest = next.value;
        continue;
      }
      const part = this.rest.subarray(0, bytes - taken);
      into?.set(part, taken);
      taken += part.length;
      this.rest = this.rest.subarray(part.length);
    }
    return taken;
  }

  async close(): Promise<void> {
    await this.#input.return?.();
  }
}
