/** Page faults handled by a program (linux/userfaultfd.h, man 2 ioctl_userfaultfd). */
import { Struct } from '../structs.ts';

const header = 'linux/userfaultfd.h';

const uffdio_api_fields = { api: ['u64', 0], features: ['u64', 8], ioctls: ['u64', 16] } as const;

export const uffdio_api: Struct<typeof uffdio_api_fields> = new Struct({
  type: 'struct uffdio_api',
  header,
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
  header,
  size: 32,
  fields: uffdio_register_fields,
});

const uffdio_copy_fields = { dst: ['u64', 0], src: ['u64', 8], len: ['u64', 16], mode: ['u64', 24], copy: ['i64', 32] } as const;

export const uffdio_copy: Struct<typeof uffdio_copy_fields> = new Struct({
  type: 'struct uffdio_copy',
  header,
  size: 40,
  fields: uffdio_copy_fields,
});

const uffdio_zeropage_fields = {
  'range.start': ['u64', 0],
  'range.len': ['u64', 8],
  mode: ['u64', 16],
  zeropage: ['i64', 24],
} as const;

export const uffdio_zeropage: Struct<typeof uffdio_zeropage_fields> = new Struct({
  type: 'struct uffdio_zeropage',
  header,
  size: 32,
  fields: uffdio_zeropage_fields,
});

const uffd_msg_fields = {
  event: ['u8', 0],
  'arg.pagefault.address': ['u64', 16],
  'arg.fork.ufd': ['u32', 8],
  'arg.remap.from': ['u64', 8],
  'arg.remap.to': ['u64', 16],
  'arg.remap.len': ['u64', 24],
  'arg.remove.start': ['u64', 8],
  'arg.remove.end': ['u64', 16],
} as const;

/** `arg` is a union: what is valid depends on `event`. */
export const uffd_msg: Struct<typeof uffd_msg_fields> = new Struct({
  type: 'struct uffd_msg',
  header,
  size: 32,
  fields: uffd_msg_fields,
});
