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
  /** How many records more there are that a tree of bounded size does not hold. */
  readonly omitted?: number;
  /** Why the image could not be read on; what stands before it is in the tree. */
  readonly error?: { readonly message: string; readonly offset: number; readonly path: string };
}

/**
 * How much a tree holds, in records and values; text counts for its length. It bounds the memory that an image made for
 * the purpose can take, and lies far above what an image of a thousand tasks has.
 */
const treeCapacity: number = 1 << 21;

/** Builds the tree from events one by one, for whoever gets them asynchronously. */
export class TreeBuilder {
  #room: number;
  #omitted = 0;
  readonly #top: ImageNode[] = [];
  readonly #open: ImageNode[][] = [this.#top];

  constructor(capacity: number = treeCapacity) {
    this.#room = capacity;
  }

  add(event: ImageEvent): void {
    if (event.type === 'close') {
      this.#open.pop();
      return;
    }
    const inside: ImageNode[] = [];
    if (this.#room > 0) {
      const node = nodeOf(event, event.type === 'open' ? inside : undefined);
      this.#room -= 1 + sizeOf(node.value);
      this.#open.at(-1)?.push(node);
    } else {
      this.#omitted++;
    }
    if (event.type === 'open') this.#open.push(inside);
  }

  /** The tree so far; `error` is what ended the reading early. */
  tree(error?: ImageError): ImageTree {
    const tree = { records: this.#top, ...(this.#omitted > 0 && { omitted: this.#omitted }) };
    if (error === undefined) return tree;
    const { message, offset, path } = error;
    return { ...tree, error: { message, offset, path } };
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

const charactersPerValue = 32;

function sizeOf(value: JsonValue): number {
  if (typeof value === 'string') return 1 + Math.floor(value.length / charactersPerValue);
  if (typeof value !== 'object') return 1;
  return Object.values(value).reduce<number>((sum, item) => sum + sizeOf(item), 1);
}
