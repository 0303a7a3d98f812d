/**
 * What our caller handed over, byte for byte. Node shows arguments and environment as text, where bytes that are not UTF-8
 * are lost, and a shell before it drops variables whose names it does not like (dots; the functions that bash exports).
 */
import { readFileSync } from 'node:fs';

/** The last `count` arguments of this process. */
export function callerArguments(count: number): Uint8Array[] {
  return count === 0 ? [] : splitStrings(readFileSync('/proc/self/cmdline')).slice(-count);
}

/** The environment: as bin/stasis noted it, else ours without the notes. Takes the note out of process.env. */
export function callerEnvironment(): Uint8Array[] {
  const noted = process.env['STASIS_ENVIRON'] ?? '';
  delete process.env['STASIS_ENVIRON'];
  if (noted !== '') return splitStrings(Buffer.from(noted, 'base64'));
  const isNote = /^STASIS_(NAME|NOFILE|SIGIGN|SIGBLK|FDS|ENVIRON)=/;
  return splitStrings(readFileSync('/proc/self/environ')).filter((entry) => !isNote.test(Buffer.from(entry).toString('latin1')));
}

/** Strings that each end with a zero byte. */
function splitStrings(bytes: Uint8Array): Uint8Array[] {
  const strings: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start);
    strings.push(bytes.subarray(start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length : end + 1;
  }
  return strings;
}
