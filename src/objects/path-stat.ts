/** What stands at a path now, for comparing it with what the target has open. */
import { statSync, type BigIntStats } from 'node:fs';

/** undefined when nothing is there, or nothing that we may see: either way it cannot be opened by its path. */
export function statPath(path: string): BigIntStats | undefined {
  try {
    return statSync(path, { bigint: true, throwIfNoEntry: false });
  } catch {
    return undefined; // EACCES on a directory of the path, ENOTDIR, ELOOP
  }
}
