/** `stasis verify`. */
import type { ImageSummary } from '../inspect.ts';
import { imageSource } from './images.ts';
import { print, printJSON } from './output.ts';
import type { Invocation } from './parse.ts';
import { formatBytes } from './text.ts';

export async function verifyCommand(invocation: Invocation): Promise<number> {
  const source = imageSource(invocation);
  const { verify } = await import('../inspect.ts');
  const summary = await verify(source);
  if (invocation.flag('json')) printJSON(verifyDocument(summary));
  else if (!invocation.flag('quiet')) {
    const name = 'path' in source ? source.path : 'standard input';
    print(`${name}: whole and undamaged, ${summary.records} records, ${formatBytes(summary.bytes)}\n`);
  }
  return 0;
}

/** What --json prints; its fields are described in the command table. */
export function verifyDocument({ records, bytes, digest, dataBytes, pages, kinds }: ImageSummary): Record<string, unknown> {
  return { ok: true, records, bytes, digest, dataBytes, pages, kinds };
}
