/**
 * Writing to the terminal, or to what stands in its place: results to standard output, all else to standard error.
 * Written synchronously, so that a process that ends, or becomes another one, has said everything.
 */
import { fstatSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type * as Tty from 'node:tty';
import { isNodeError } from '../errors.ts';
import { writeError, writeFully } from '../descriptor.ts';

/** The reader of our results went away: what SIGPIPE would have ended us with, which Node ignores. */
const EXIT_SIGPIPE = 128 + 13;

/** A result, to standard output. */
export function print(text: string): void {
  try {
    writeFully(1, [Buffer.from(text)]);
  } catch (error) {
    if (isNodeError(error) && error.code === 'EPIPE') process.exit(EXIT_SIGPIPE);
    throw writeError(error, 'standard output');
  }
}

/** One JSON document, to standard output. */
export function printJSON(value: unknown): void {
  print(`${JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? each.toString() : each), 2)}\n`);
}

/** A message for people, to standard error. Nobody can be told when that fails. */
export function say(text: string): void {
  try {
    writeSync(2, text);
  } catch {
    // The terminal is gone, or its buffer is full.
  }
}

/** The null device and its kin: major number 1, Documentation/admin-guide/devices.txt. */
const MEMORY_DEVICES = 1;

/** isatty(3); asks node:tty, which takes 3 ms to load, only about what could be one. */
export function isTerminal(fd: number): boolean {
  try {
    const stats = fstatSync(fd);
    return stats.isCharacterDevice() && majorOf(stats.rdev) !== MEMORY_DEVICES && tty().isatty(fd);
  } catch {
    return false;
  }
}

/** gnu_dev_major of glibc, for numbers below 2^32. */
function majorOf(device: number): number {
  return (device >>> 8) & 0xfff;
}

function tty(): typeof Tty {
  return createRequire(import.meta.url)('node:tty') as typeof Tty;
}

/** Columns to wrap text at; 80 where there is no terminal, and never more than is good to read. */
export function terminalWidth(fd: number): number {
  if (!isTerminal(fd)) return 80;
  const { columns } = new (tty().WriteStream)(fd);
  return Math.min(Math.max(columns || 80, 40), 100);
}

/** Whether to colour what goes to `fd` (no-color.org). */
export function colours(fd: number): boolean {
  const { NO_COLOR: noColor, TERM: term } = process.env;
  return (noColor === undefined || noColor === '') && term !== 'dumb' && isTerminal(fd);
}

const escapes = { red: '\x1b[31m', green: '\x1b[32m', yellow: '\x1b[33m', bold: '\x1b[1m', dim: '\x1b[2m' } as const;
export type Colour = keyof typeof escapes;

/** A function that colours, or one that does not. */
export function painter(fd: number): (colour: Colour, text: string) => string {
  return colours(fd) ? (colour, text) => `${escapes[colour]}${text}\x1b[0m` : (_colour, text) => text;
}
