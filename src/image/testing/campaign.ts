/** Reads many mutated images: each must be read to its end or raise an ImageError, soon and in little memory. */
import { ImageError } from '../../errors.ts';
import { inspectEvents } from '../inspect.ts';
import type { KindTable } from '../kind-table.ts';
import { memorySource, readEvents } from '../read-events.ts';
import { ImageReader, type ReaderOptions } from '../reader.ts';
import { render } from '../render.ts';
import { verify } from '../verify.ts';
import { mutate } from './mutations.ts';
import { Random } from './random.ts';
import { putTogether, takeApart } from './records.ts';

export interface Campaign {
  readonly image: Uint8Array;
  readonly kinds: KindTable;
  readonly count: number;
  readonly seed: number;
  /** Called now and then. */
  readonly onProgress?: (done: number) => void;
}

export interface CampaignResult {
  /** Images that a reader took for whole and sound: the mutation did nothing, or something that is allowed. */
  readonly whole: number;
  /** How many raised each error, by its message with the numbers and names taken out. */
  readonly errors: ReadonlyMap<string, number>;
  readonly slowestMs: number;
  /** the most that one image made the arrays in memory grow, bytes */
  readonly largest: number;
}

/** An image on which the reader did anything but its two duties. */
export class CampaignFailure extends Error {
  override name = 'CampaignFailure';
  readonly bytes: Uint8Array;

  constructor(message: string, bytes: Uint8Array, cause: unknown) {
    super(message, { cause });
    this.bytes = bytes;
  }
}

export const slowestAllowedMs = 2000;
export const largestAllowed: number = 64 << 20;
/** Of the data in a record; more of it would only take time. */
const keptData = 4096;

export function runCampaign({ image, kinds, count, seed, onProgress }: Campaign): CampaignResult {
  const apart = takeApart(image, keptData);
  const whole = putTogether(apart);
  const errors = new Map<string, number>();
  let [sound, slowestMs, largest] = [0, 0, 0];
  for (let index = 0; index < count; index++) {
    const random = new Random(seed + index);
    const mutation = mutate(apart, whole, random);
    const place = `image ${index} of seed ${seed} (${mutation.name})`;
    const begin = performance.now();
    const buffersBefore = process.memoryUsage().arrayBuffers;
    let error: ImageError | undefined;
    try {
      error = readInAllWays(mutation.bytes, kinds);
    } catch (cause) {
      throw new CampaignFailure(`${place}: ${String(cause)}`, mutation.bytes, cause);
    }
    const took = performance.now() - begin;
    const grown = process.memoryUsage().arrayBuffers - buffersBefore;
    if (took > slowestAllowedMs) throw new CampaignFailure(`${place}: took ${took} ms`, mutation.bytes, undefined);
    if (grown > largestAllowed) throw new CampaignFailure(`${place}: took ${grown} bytes`, mutation.bytes, undefined);
    slowestMs = Math.max(slowestMs, took);
    largest = Math.max(largest, grown);
    if (error === undefined) sound++;
    else errors.set(kindOfError(error), (errors.get(kindOfError(error)) ?? 0) + 1);
    if (index % 1000 === 999) onProgress?.(index + 1);
  }
  return { whole: sound, errors, slowestMs, largest };
}

/** As verify and inspect read; the first answers. */
function readInAllWays(bytes: Uint8Array, kinds: KindTable): ImageError | undefined {
  let answer: ImageError | undefined;
  try {
    verify(readEvents(new ImageReader(kinds), memorySource(bytes)));
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    answer = error;
  }
  const options: ReaderOptions = { data: 'skip', unknown: 'show' };
  const tree = inspectEvents(readEvents(new ImageReader(kinds, options), memorySource(bytes)));
  JSON.parse(JSON.stringify(tree));
  const harmful = /[\p{Cc}\p{Cf}\p{Cs}]/u.exec(render(tree).replaceAll('\n', ''));
  if (harmful !== null) throw new Error(`the text has U+${harmful[0].codePointAt(0)?.toString(16)} at ${harmful.index}`);
  return answer;
}

function kindOfError(error: ImageError): string {
  return error.message.replace(/ \(offset .*$/s, '').replaceAll(/0x[0-9a-f]+|\d+|"[^"]*"/g, '…');
}
