/** Times and interval timers (linux/time_types.h, linux/time.h). */
import { Struct } from '../structs.ts';

const timespec_fields = {
  tv_sec: ['i64', 0],
  tv_nsec: ['i64', 8],
} as const;

/** What 64-bit system calls call `struct timespec`. */
export const timespec: Struct<typeof timespec_fields> = new Struct({
  type: 'struct __kernel_timespec',
  header: 'linux/time_types.h',
  size: 16,
  fields: timespec_fields,
});

const itimerspec_fields = {
  'it_interval.tv_sec': ['i64', 0],
  'it_interval.tv_nsec': ['i64', 8],
  'it_value.tv_sec': ['i64', 16],
  'it_value.tv_nsec': ['i64', 24],
} as const;

/** `man 2 timer_settime`: what 64-bit system calls call `struct itimerspec`. */
export const itimerspec: Struct<typeof itimerspec_fields> = new Struct({
  type: 'struct __kernel_itimerspec',
  header: 'linux/time_types.h',
  size: 32,
  fields: itimerspec_fields,
});

const itimerval_fields = {
  'it_interval.tv_sec': ['i64', 0],
  'it_interval.tv_usec': ['i64', 8],
  'it_value.tv_sec': ['i64', 16],
  'it_value.tv_usec': ['i64', 24],
} as const;

/** `man 2 getitimer` */
export const itimerval: Struct<typeof itimerval_fields> = new Struct({
  type: 'struct itimerval',
  header: 'linux/time.h',
  size: 32,
  fields: itimerval_fields,
});
