/** --stats: the phases and counts of a checkpoint or a restart, for people. */
import { say } from './output.ts';
import { formatBytes, formatMilliseconds } from './text.ts';

/** Names that end in Ms are milliseconds; `freezeMs` is told as `freeze`. */
export function renderStats(stats: object): string {
  const rows = Object.entries(stats)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]): [string, string] => {
      if (typeof value === 'number' && name.endsWith('Ms')) return [words(name.slice(0, -2)), formatMilliseconds(value)];
      if (typeof value === 'number' && (name === 'bytes' || name.endsWith('Bytes'))) return [words(name), formatBytes(value)];
      return [words(name), String(value)];
    });
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `${label.padEnd(width)}  ${value.padStart(10)}\n`).join('');
}

export function sayStats(stats: object): void {
  say(renderStats(stats));
}

function words(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
