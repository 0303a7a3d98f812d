/** Calls whose caller the kernel notes down, made with the ids of another. Source: man 2 setresuid, man 7 unix (SO_PEERCRED). */
import { syscall } from './ffi.ts';

export interface Ids {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Does `work` with these effective ids, where we may take them, else with our own. The call without the C library's wrapper
 * changes this thread alone, and nothing else runs on it meanwhile.
 */
export function asUser<T>(ids: Ids | undefined, work: () => T): T {
  const own = { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
  if (ids === undefined || (ids.uid === own.uid && ids.gid === own.gid) || ids.uid === 0xffff_ffff) return work();
  const unchanged = -1;
  syscall('setresgid', unchanged, ids.gid, unchanged);
  syscall('setresuid', unchanged, ids.uid, unchanged);
  try {
    return work();
  } finally {
    syscall('setresuid', unchanged, own.uid, unchanged);
    syscall('setresgid', unchanged, own.gid, unchanged);
  }
}
