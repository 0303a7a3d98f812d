/** Resource limits (linux/resource.h). */
import { Struct } from '../structs.ts';

const rlimit64_fields = {
  rlim_cur: ['u64', 0],
  rlim_max: ['u64', 8],
} as const;

/** `man 2 prlimit64` */
export const rlimit64: Struct<typeof rlimit64_fields> = new Struct({
  type: 'struct rlimit64',
  header: 'linux/resource.h',
  size: 16,
  fields: rlimit64_fields,
});
