/** poll (asm-generic/poll.h). */
import { Struct } from '../structs.ts';

const pollfd_fields = {
  fd: ['i32', 0],
  events: ['u16', 4],
  revents: ['u16', 6],
} as const;

/** `man 2 poll`. Event bits are POLL* of the same header. */
export const pollfd: Struct<typeof pollfd_fields> = new Struct({
  type: 'struct pollfd',
  header: 'asm/poll.h',
  size: 8,
  fields: pollfd_fields,
});
