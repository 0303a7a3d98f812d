/**
 * What the kernel reads out of a process's own memory: cmdline, environ, and the auxiliary vector that it keeps beside it
 * (`man 5 proc_pid_cmdline`, proc_pid_environ, proc_pid_auxv). For kernel threads and zombies cmdline is empty; the other two
 * are empty or VANISHED, as the kernel's age has it.
 */
import { readProcBytes, readProcText } from './read.ts';

/** The arguments. A program may overwrite them: then this is whatever stands there, e.g. one argument with blanks. */
export function parseCmdline(text: string): string[] {
  return nulTerminated(text);
}

export function readCmdline(pid: number): string[] {
  return parseCmdline(readProcText(pid, 'cmdline'));
}

/** The `NAME=value` strings with which the program was started; later changes are not seen here. */
export function parseEnviron(text: string): string[] {
  return nulTerminated(text);
}

export function readEnviron(pid: number): string[] {
  return parseEnviron(readProcText(pid, 'environ'));
}

/**
 * Pairs of type (AT_* of linux/auxvec.h) and value, up to and without AT_NULL.
 * @param wordSize 8, or 4 for a 32-bit task
 */
export function parseAuxv(bytes: Uint8Array, wordSize: 4 | 8 = 8): [bigint, bigint][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const word = (at: number): bigint => (wordSize === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
  const pairs: [bigint, bigint][] = [];
  for (let at = 0; at + 2 * wordSize <= bytes.byteLength; at += 2 * wordSize) {
    const type = word(at);
    if (type === 0n) break;
    pairs.push([type, word(at + wordSize)]);
  }
  return pairs;
}

export function readAuxv(pid: number, wordSize: 4 | 8 = 8): [bigint, bigint][] {
  return parseAuxv(readProcBytes(pid, 'auxv'), wordSize);
}

function nulTerminated(text: string): string[] {
  if (text === '') return [];
  return (text.endsWith('\0') ? text.slice(0, -1) : text).split('\0');
}
