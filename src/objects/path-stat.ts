/** What stands at a path now, for comparing it with what the target has open. */
import { lstatSync, statSync, type BigIntStats } from 'node:fs';

/** undefined when nothing is there, or nothing that we may see: either way it cannot be opened by its path. */
export function statPath(path: string | Buffer): BigIntStats | undefined {
  return attempt(() => statSync(path, { bigint: true, throwIfNoEntry: false }));
}

/** The same, of a symbolic link itself. */
export function lstatPath(path: string | Buffer): BigIntStats | undefined {
  return attempt(() => lstatSync(path, { bigint: true, throwIfNoEntry: false }));
}

function attempt(stat: () => BigIntStats | undefined): BigIntStats | undefined {
  try {
    return stat();
  } catch {
    return undefined; // EACCES on a directory of the path, ENOTDIR, ELOOP
  }
}
