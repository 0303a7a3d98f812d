/** `stasis merge`. */
import { resolve } from 'node:path';
import { imageSource } from './images.ts';
import { isTerminal, print, printJSON } from './output.ts';
import { UsageError, type Invocation } from './parse.ts';
import { formatBytes } from './text.ts';

export async function mergeCommand(invocation: Invocation): Promise<number> {
  const source = imageSource(invocation);
  const file = invocation.value('output');
  const json = invocation.flag('json');
  const toStandardOutput = file === undefined || file === '-';
  if (toStandardOutput && (json || isTerminal(1))) {
    const { name } = invocation;
    throw new UsageError(name, 'The image needs a file: standard output is not for it', `Name one: ${name} IMAGE -o FILE`);
  }
  const directory = invocation.value('base-dir');
  const { merge } = await import('../merge.ts');
  const baseDirectories = directory === undefined ? [] : [resolve(directory)];
  const totals = merge(source, toStandardOutput ? { fd: 1 } : { path: file }, { baseDirectories });
  if (json) printJSON({ ok: true, ...(file !== undefined && { path: file }), ...totals });
  else if (!invocation.flag('quiet') && !toStandardOutput)
    print(`${file}: ${totals.records} records, ${formatBytes(totals.bytes)}\n`);
  return 0;
}
