/** What 32-bit programs hand to the kernel, where it differs from the 64-bit layout. Source: include/linux/compat.h. */
import { Struct } from '../structs.ts';

const timespec32_fields = {
  tv_sec: ['i32', 0],
  tv_nsec: ['i32', 4],
} as const;

/** struct old_timespec32; struct old_timeval32 is laid out alike. */
export const timespec32: Struct<typeof timespec32_fields> = new Struct({
  type: 'struct timespec',
  header: 'linux/time.h',
  size: 8,
  fields: timespec32_fields,
  bits: 32,
});

const compat_sigaction_fields = {
  sa_handler: ['u32', 0],
  sa_flags: ['u32', 4],
  sa_restorer: ['u32', 8],
  sa_mask: ['bytes', 12, 8],
} as const;

/** What rt_sigaction takes; no header has it for user space. */
export const compat_sigaction: Struct<typeof compat_sigaction_fields> = new Struct({
  type: 'struct compat_sigaction',
  header: 'linux/types.h',
  size: 20,
  fields: compat_sigaction_fields,
  bits: 32,
  recent: {
    macro: 'compat_sigaction',
    declaration: `struct compat_sigaction {
      __u32 sa_handler; __u32 sa_flags; __u32 sa_restorer; struct { __u32 sig[2]; } sa_mask;
    };`,
  },
});

const user_desc_fields = {
  entry_number: ['u32', 0],
  base_addr: ['u32', 4],
  limit: ['u32', 8],
} as const;

/** A segment descriptor, as set_thread_area and modify_ldt have it; its flags are the bits of a fourth word. */
export const user_desc: Struct<typeof user_desc_fields> = new Struct({
  type: 'struct user_desc',
  header: 'asm/ldt.h',
  size: 16,
  fields: user_desc_fields,
});
