/** The command line of the test runner. */
import { parseArgs } from 'node:util';
import { resolve } from 'node:path';

export const usage = `usage: tsx test/run.ts [options]
  --only unit|process   run one of the two kinds (default: both; with --node: process)
  --filter TEXT         only files whose path contains TEXT
  --node PATH           run the tests under this Node binary
  --jobs N              files at the same time (default: 2; 1 for those that measure time)
  --timeout SECONDS     for each file (default: 180)`;

export interface Options {
  readonly kinds: readonly ('unit' | 'process')[];
  readonly filter: string;
  readonly node: string;
  readonly jobs: number | undefined;
  readonly timeoutMs: number;
}

export function readOptions(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: 'string' },
      filter: { type: 'string', default: '' },
      node: { type: 'string' },
      jobs: { type: 'string' },
      timeout: { type: 'string', default: '180' },
    },
  });
  const only = values.only ?? (values.node === undefined ? undefined : 'process');
  if (only !== undefined && only !== 'unit' && only !== 'process') throw new Error(`Cannot run only '${only}' tests\n${usage}`);
  return {
    kinds: only === undefined ? ['unit', 'process'] : [only],
    filter: values.filter,
    node: resolve(values.node ?? process.execPath),
    jobs: values.jobs === undefined ? undefined : wholeNumber('--jobs', values.jobs),
    timeoutMs: wholeNumber('--timeout', values.timeout) * 1000,
  };
}

function wholeNumber(option: string, text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new Error(`${option} takes a whole number from 1, not '${text}'\n${usage}`);
  return Number(text);
}
