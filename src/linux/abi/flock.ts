/** Locks on files (asm-generic/fcntl.h). */
import { Struct } from '../structs.ts';

const flock_fields = {
  l_type: ['u16', 0],
  l_whence: ['u16', 2],
  l_start: ['i64', 8],
  l_len: ['i64', 16],
  l_pid: ['i32', 24],
} as const;

/** `man 2 F_SETLK` */
export const flock: Struct<typeof flock_fields> = new Struct({
  type: 'struct flock',
  header: 'fcntl.h',
  size: 32,
  fields: flock_fields,
});
