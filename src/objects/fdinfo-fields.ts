/** Values out of the lines that a kind of file adds to /proc/PID/fdinfo/FD. */
import { StasisError } from '../errors.ts';

function textField(lines: readonly string[], name: string): string | undefined {
  const start = `${name}:`;
  return lines
    .find((line) => line.startsWith(start))
    ?.slice(start.length)
    .trim();
}

/** A decimal number; undefined when this kernel does not show it. */
export function numberField(lines: readonly string[], name: string): number | undefined {
  const text = textField(lines, name);
  return text === undefined || !/^-?\d+$/.test(text) ? undefined : Number(text);
}

/** Octal, as flags are shown. */
export function octalField(lines: readonly string[], name: string): number {
  const text = textField(lines, name);
  return text !== undefined && /^[0-7]+$/.test(text) ? parseInt(text, 8) : lacking(name);
}

/** A hexadecimal number, which every kernel shows. */
export function hexField(lines: readonly string[], name: string): bigint {
  const text = textField(lines, name);
  if (text === undefined || !/^[0-9a-f]+$/.test(text)) return lacking(name);
  return BigInt(`0x${text}`);
}

/** Seconds and nanoseconds, as `(1, 500)`, in nanoseconds. */
export function timeField(lines: readonly string[], name: string): bigint {
  const match = /^\((\d+), (\d+)\)$/.exec(textField(lines, name) ?? '');
  if (match === null) return lacking(name);
  return BigInt(match[1] ?? 0) * 1_000_000_000n + BigInt(match[2] ?? 0);
}

function lacking(name: string): never {
  throw new StasisError('FAILED', `The kernel does not say in fdinfo what it should: ${name}`, { phase: 'collect' });
}
