/** Numbers and lines out of kernel texts, read in place: no substring is made where none is kept. */
import { StasisError } from '../../errors.ts';

/** The kernel wrote something that its documented format does not allow: our reading of the format is wrong. */
export function malformed(file: string, line: string): never {
  throw new StasisError('FAILED', `Cannot understand this line of /proc/PID/${file}: ${JSON.stringify(line.slice(0, 200))}`);
}

/** Index of the end of the line that holds `at`: its newline, or the end of the text. */
export function lineEnd(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end === -1 ? text.length : end;
}

/** The first index from `at` on that holds no space and no tab. */
export function skipBlanks(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x09) return at;
    at++;
  }
}

/** The decimal digits text[start, end) as a number; NaN when they are none. */
export function decimal(text: string, start: number, end: number): number {
  if (start >= end) return NaN;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit < 0 || digit > 9) return NaN;
    value = value * 10 + digit;
  }
  return value;
}

/** The hexadecimal digits text[start, end) as a number; NaN when they are none. Exact up to 13 digits. */
export function hexadecimal(text: string, start: number, end: number): number {
  if (start >= end) return NaN;
  let value = 0;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x30 && code <= 0x39) value = value * 16 + (code - 0x30);
    else if (code >= 0x61 && code <= 0x66) value = value * 16 + (code - 0x57);
    else if (code >= 0x41 && code <= 0x46) value = value * 16 + (code - 0x37);
    else return NaN;
  }
  return value;
}

/** As {@link hexadecimal}, exact at any length; undefined when text[start, end) holds no such number. */
export function hexadecimalBigInt(text: string, start: number, end: number): bigint | undefined {
  const value = hexadecimal(text, start, end);
  if (Number.isNaN(value)) return undefined;
  // 13 hexadecimal digits are 52 bits, which a number holds exactly; making a bigint from a string costs far more.
  return end - start <= 13 ? BigInt(value) : BigInt(`0x${text.slice(start, end)}`);
}

/** As {@link decimal}, exact at any length; undefined when text[start, end) holds no such number. */
export function decimalBigInt(text: string, start: number, end: number): bigint | undefined {
  const value = decimal(text, start, end);
  if (Number.isNaN(value)) return undefined;
  return end - start <= 15 ? BigInt(value) : BigInt(text.slice(start, end));
}

/** The text as an integer with an optional minus sign, asserted. */
export function integer(file: string, text: string): number {
  const trimmed = text.trim();
  if (!/^-?\d+$/.test(trimmed)) malformed(file, text);
  return Number(trimmed);
}

/** The text as hexadecimal digits, with or without 0x, asserted. */
export function hexWord(file: string, text: string): bigint {
  const trimmed = text.trim();
  if (!/^(0x)?[0-9a-f]+$/i.test(trimmed)) malformed(file, text);
  return BigInt(trimmed.startsWith('0x') ? trimmed : `0x${trimmed}`);
}

/** The lines of a `Name:\tvalue` file as a map, without the colon and the one tab. The first of equal names wins. */
export function namedLines(text: string): Map<string, string> {
  const lines = new Map<string, string>();
  for (let at = 0; at < text.length;) {
    const end = lineEnd(text, at);
    const colon = text.indexOf(':', at);
    if (colon !== -1 && colon < end) {
      const name = text.slice(at, colon);
      const valueAt = text.charCodeAt(colon + 1) === 0x09 ? colon + 2 : colon + 1;
      if (!lines.has(name)) lines.set(name, text.slice(valueAt, end));
    }
    at = end + 1;
  }
  return lines;
}
