/** The two stories that only read: what an image holds, and whether it is whole. */
import { ImageReader } from './image/reader.ts';
import { readEvents } from './image/read-events.ts';
import { kinds } from './objects/registry.ts';
import { openSource, type Source } from './source.ts';

export interface Summary {
  readonly records: number;
  readonly bytes: number;
  readonly digest: string;
}

export async function verify(source: Source): Promise<Summary> {
  using input = openSource(source);
  let summary: Summary | undefined;
  for (const event of readEvents(new ImageReader(kinds), input)) {
    if (event.type === 'leaf' && event.kind.name === 'tail') {
      const { records, bytes, digest } = event.value as { records: number; bytes: number; digest: Uint8Array };
      summary = { records, bytes, digest: Buffer.from(digest).toString('hex') };
    }
  }
  return summary!;
}

export async function inspect(source: Source): Promise<unknown> {
  using input = openSource(source);
  const image = [];
  for (const event of readEvents(new ImageReader(kinds, { data: 'skip' }), input)) {
    if (event.type !== 'close') image.push({ depth: event.depth, name: event.kind.name, value: event.value });
  }
  return image;
}

export function render(image: unknown): string {
  return `${JSON.stringify(image, (_key, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value), 2)}\n`;
}
