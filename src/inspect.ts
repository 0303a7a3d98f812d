/** The two stories that only read: what an image holds, and whether it is whole. Neither needs Linux or a privilege. */
import { ImageError } from './errors.ts';
import type { ImageEvent } from './image/events.ts';
import { type ImageTree, TreeBuilder } from './image/inspect.ts';
import { readEvents, readEventsAsync } from './image/read-events.ts';
import { ImageReader, type ReaderOptions } from './image/reader.ts';
import { type ImageSummary, Verifier } from './image/verify.ts';
import { kinds } from './objects/registry.ts';
import { openSource, type Source } from './source.ts';

export type { ImageNode, ImageTree } from './image/inspect.ts';
export { render, type RenderOptions } from './image/render.ts';
export type { ImageSummary } from './image/verify.ts';

/** A path, a descriptor, or chunks as a Node or a web stream gives them. */
export type InspectSource = Source | AsyncIterable<Uint8Array>;

export interface InspectOptions {
  /** Of a damaged image give what stands before the damage, and the error in `tree.error`, instead of throwing it. */
  readonly partial?: boolean;
}

/**
 * The nested content of an image, plain data that JSON can hold. Everything is checked but the page data; records of
 * unknown kinds that may be ignored are shown. An ImageError when the image is damaged or not whole.
 */
export async function inspect(source: InspectSource, options: InspectOptions = {}): Promise<ImageTree> {
  const builder = new TreeBuilder();
  try {
    await readAll(source, { data: 'skip', unknown: 'show' }, (event) => builder.add(event));
    return builder.tree();
  } catch (error) {
    if (options.partial === true && error instanceof ImageError) return builder.tree(error);
    throw error;
  }
}

/** Reads and checks all of an image: every checksum, every schema rule, every reference. An ImageError when one fails. */
export async function verify(source: InspectSource): Promise<ImageSummary> {
  const verifier = new Verifier();
  await readAll(source, {}, (event) => verifier.add(event));
  return verifier.summary();
}

async function readAll(source: InspectSource, options: ReaderOptions, take: (event: ImageEvent) => void): Promise<void> {
  const reader = new ImageReader(kinds, options);
  if (Symbol.asyncIterator in source) {
    for await (const event of readEventsAsync(reader, source)) take(event);
    return;
  }
  using input = openSource(source);
  for (const event of readEvents(reader, input)) take(event);
}
