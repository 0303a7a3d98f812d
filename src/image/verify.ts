import { ImageError } from '../errors.ts';
import { type ImageEvent, is } from './events.ts';
import { type Head, headKind } from './head.ts';
import { hexDigits } from './json.ts';
import { tailKind } from './tail.ts';
import type { ImageTotals } from './writer.ts';

/** What a whole and sound image holds. */
export interface ImageSummary extends ImageTotals {
  readonly head: Head;
  /** bytes of data in all records */
  readonly dataBytes: number;
  /** memory in pages of the head's size */
  readonly pages: number;
  /** how many records of each kind, by its name */
  readonly kinds: Readonly<Record<string, number>>;
}

/**
 * Adds up what a reader found sound. All checks (checksums, schemas, nesting, references, digest) are the reader's own and
 * end in an ImageError; so verifying is reading to the end with a reader that checks data, its default.
 */
export class Verifier {
  readonly #kinds = new Map<string, number>();
  #head: Head | undefined;
  #totals: ImageTotals | undefined;
  #dataBytes = 0;
  #memoryBytes = 0;

  add(event: ImageEvent): void {
    if (event.type === 'close') return;
    this.#kinds.set(event.kind.name, (this.#kinds.get(event.kind.name) ?? 0) + 1);
    this.#dataBytes += event.dataLength;
    this.#memoryBytes += event.kind.memory?.(event.value) ?? event.dataLength;
    if (is(event, headKind)) this.#head = event.value;
    if (is(event, tailKind)) {
      this.#totals = { records: event.value.records + 1, bytes: event.end, digest: hexDigits(event.value.digest) };
    }
  }

  /** After the last event. */
  summary(): ImageSummary {
    if (this.#head === undefined || this.#totals === undefined) throw new ImageError('The image was not read to its end', 0);
    const pages = Math.ceil(this.#memoryBytes / this.#head.pageSize);
    return { ...this.#totals, head: this.#head, dataBytes: this.#dataBytes, pages, kinds: Object.fromEntries(this.#kinds) };
  }
}

/** Reads an image to its end; an ImageError when anything in it is wrong. */
export function verify(events: Iterable<ImageEvent>): ImageSummary {
  const verifier = new Verifier();
  for (const event of events) verifier.add(event);
  return verifier.summary();
}
