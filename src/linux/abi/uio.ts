/** Scattered memory (linux/uio.h). */
import { Struct } from '../structs.ts';

const iovec_fields = {
  iov_base: ['u64', 0],
  iov_len: ['u64', 8],
} as const;

/** `man 3type iovec` */
export const iovec: Struct<typeof iovec_fields> = new Struct({
  type: 'struct iovec',
  header: 'linux/uio.h',
  size: 16,
  fields: iovec_fields,
});
