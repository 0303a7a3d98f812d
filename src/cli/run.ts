/** `stasis run`. */
import { constants } from 'node:os';
import { resolve } from 'node:path';
import type { SeriesOptions } from '../series.ts';
import { UsageError, type Invocation } from './parse.ts';

/** Returns only when the program cannot be started. */
export async function runCommand(invocation: Invocation): Promise<number> {
  const series = seriesOptions(invocation);
  const { runForeground } = await import('../run.ts');
  return runForeground(invocation.rest, series);
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const defaultKeep = 10;

function seriesOptions(invocation: Invocation): SeriesOptions | undefined {
  const { name } = invocation;
  const directory = invocation.value('to');
  const every = invocation.value('every');
  const keep = invocation.value('keep');
  const on = invocation.value('on');
  if (directory === undefined) {
    if (every === undefined && keep === undefined && on === undefined) return undefined;
    throw new UsageError(name, 'A series of images needs a place', `Name a directory: ${name} --to DIRECTORY`);
  }
  if (every === undefined && on === undefined) {
    throw new UsageError(name, '--to needs to know when an image is made', 'Give --every 30s, or --on SIGUSR1, or both');
  }
  return {
    directory: resolve(directory),
    every: every === undefined ? undefined : interval(name, every),
    keep: keep === undefined ? defaultKeep : count(name, keep),
    on: on === undefined ? [] : signals(name, on),
  };
}

function interval(name: string, word: string): number {
  const [, number = '', unit = 's'] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)?$/.exec(word) ?? [];
  const milliseconds = Number(number) * (units[unit] ?? NaN);
  if (number !== '' && milliseconds >= 100) return milliseconds;
  throw new UsageError(name, `--every is a time of at least 100ms, not "${word}"`, 'Write it like 30s, 5m or 1h');
}

function count(name: string, word: string): number {
  const keep = /^\d{1,6}$/.test(word) ? Number(word) : 0;
  if (keep >= 1) return keep;
  throw new UsageError(name, `--keep is a number of images, at least 1, not "${word}"`);
}

function signals(name: string, words: string): string[] {
  return words.split(',').map((word) => {
    const signal = /^SIG/i.test(word) ? word.toUpperCase() : `SIG${word.toUpperCase()}`;
    if (signal in constants.signals && signal !== 'SIGKILL' && signal !== 'SIGSTOP') return signal;
    throw new UsageError(name, `--on takes names of signals that can be caught, not "${word}"`);
  });
}
