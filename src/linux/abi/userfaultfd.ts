/** The ioctls of a userfaultfd (linux/userfaultfd.h; man 2 ioctl_userfaultfd). */
import { Struct } from '../structs.ts';

const uffdio_api_fields = {
  api: ['u64', 0],
  features: ['u64', 8],
  ioctls: ['u64', 16],
} as const;

export const uffdio_api: Struct<typeof uffdio_api_fields> = new Struct({
  type: 'struct uffdio_api',
  header: 'linux/userfaultfd.h',
  size: 24,
  fields: uffdio_api_fields,
});

const uffdio_register_fields = {
  'range.start': ['u64', 0],
  'range.len': ['u64', 8],
  mode: ['u64', 16],
  ioctls: ['u64', 24],
} as const;

export const uffdio_register: Struct<typeof uffdio_register_fields> = new Struct({
  type: 'struct uffdio_register',
  header: 'linux/userfaultfd.h',
  size: 32,
  fields: uffdio_register_fields,
});
