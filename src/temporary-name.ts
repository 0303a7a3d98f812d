/**
 * Names of files that are still being written, where the file system cannot keep them nameless. Each name says which
 * process writes it, so that whoever comes later can tell one that was left behind by SIGKILL or a power cut.
 */
import { readFileSync, readdirSync, readlinkSync, unlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * A new name beside `path`, such as `.counter.image.0a1b2c3d-4242-1.partial`. Those for the same path whose writer no
 * longer lives are removed.
 */
export function temporaryName(path: string): string {
  // Names have at most 255 bytes (NAME_MAX).
  const prefix = `.${basename(path).slice(0, 50)}.${hostOfPids()}-`;
  removeAbandoned(dirname(path), prefix);
  counter++;
  return join(dirname(path), `${prefix}${process.pid}-${counter}.partial`);
}

let counter = 0;

/** Best effort: what cannot be removed stays. */
function removeAbandoned(directory: string, prefix: string): void {
  try {
    for (const name of readdirSync(directory)) {
      const match = name.startsWith(prefix) ? /^(\d+)-\d+\.partial$/.exec(name.slice(prefix.length)) : null;
      if (match !== null && !lives(Number(match[1]))) unlinkSync(join(directory, name));
    }
  } catch {
    // Not readable, or not ours: somebody else's turn.
  }
}

/** Process ids mean something only within this boot of this machine and this pid namespace. */
function hostOfPids(): string {
  cachedHost ??= crc32(`${readIfThere('/proc/sys/kernel/random/boot_id')} ${linkIfThere('/proc/self/ns/pid')}`)
    .toString(16)
    .padStart(8, '0');
  return cachedHost;
}

let cachedHost: string | undefined;

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code !== 'ESRCH';
  }
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function linkIfThere(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}
