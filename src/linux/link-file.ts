/** Gives an open file without name (O_TMPFILE) a name. Source: man 2 open, man 2 linkat. */
import { errnoName } from './errno.ts';
import { LocalMemory, syscall } from './ffi.ts';

/** Throws as node:fs does (an Error with code, errno and syscall). */
export function linkFile(fd: number, path: string): void {
  const AT_FDCWD = -100;
  const AT_SYMLINK_FOLLOW = 0x400;
  const from = Buffer.from(`/proc/self/fd/${fd}\0`);
  const to = Buffer.from(`${path}\0`);
  const memory = LocalMemory.scratch('linkat', 8192);
  memory.bytes.set(from);
  memory.bytes.set(to, from.length);
  const errno = syscall('linkat', AT_FDCWD, memory.address, AT_FDCWD, memory.address + BigInt(from.length), AT_SYMLINK_FOLLOW);
  if (errno >= 0) return;
  const code = errnoName(-errno);
  throw Object.assign(new Error(`${code}: linkat '${path}'`), { code, errno, syscall: 'linkat', path });
}
