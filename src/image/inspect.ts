import { ImageError } from '../errors.ts';
import type { ImageEvent, RecordEvent } from './events.ts';
import { type JsonValue, toJson } from './json.ts';

/** One record as plain data, safe for JSON. */
export interface ImageNode {
  /** name of its kind */
  readonly kind: string;
  readonly objref?: number;
  /** what its kind says of it in a few words */
  readonly title?: string;
  /** where the record begins in the image */
  readonly offset: number;
  readonly value: JsonValue;
  /** where its data is */
  readonly data?: { readonly offset: number; readonly bytes: number };
  /** the records inside it, for a container */
  readonly records?: readonly ImageNode[];
}

export interface ImageTree {
  readonly records: readonly ImageNode[];
  /** Why the image could not be read on; what stands before it is in the tree. */
  readonly error?: { readonly message: string; readonly offset: number; readonly path: string };
}

/** Builds the tree from events one by one, for whoever gets them asynchronously. */
export class TreeBuilder {
  readonly #top: ImageNode[] = [];
  readonly #open: ImageNode[][] = [this.#top];

  add(event: ImageEvent): void {
    if (event.type === 'close') {
      this.#open.pop();
      return;
    }
    const inside: ImageNode[] = [];
    this.#open.at(-1)?.push(nodeOf(event, event.type === 'open' ? inside : undefined));
    if (event.type === 'open') this.#open.push(inside);
  }

  /** The tree so far; `error` is what ended the reading early. */
  tree(error?: ImageError): ImageTree {
    if (error === undefined) return { records: this.#top };
    const { message, offset, path } = error;
    return { records: this.#top, error: { message, offset, path } };
  }
}

/** The nested content of an image. A damaged image gives the tree up to the damage, and the error in it. */
export function inspectEvents(events: Iterable<ImageEvent>): ImageTree {
  const builder = new TreeBuilder();
  try {
    for (const event of events) builder.add(event);
  } catch (error) {
    if (error instanceof ImageError) return builder.tree(error);
    throw error;
  }
  return builder.tree();
}

function nodeOf(event: RecordEvent, records: ImageNode[] | undefined): ImageNode {
  const { kind, objref, offset, value, dataOffset, dataLength } = event;
  const title = kind.title?.(value);
  return {
    kind: kind.name,
    ...(objref !== 0 && { objref }),
    ...(title !== undefined && { title }),
    offset,
    value: toJson(kind.schema.shape, value),
    ...(dataLength > 0 && { data: { offset: dataOffset, bytes: dataLength } }),
    ...(records !== undefined && { records }),
  };
}
