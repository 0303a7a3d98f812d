/** Attributes of files (linux/stat.h). */
import { Struct } from '../structs.ts';

const statx_fields = {
  stx_mask: ['u32', 0],
  stx_nlink: ['u32', 16],
  stx_uid: ['u32', 20],
  stx_gid: ['u32', 24],
  stx_mode: ['u16', 28],
  stx_ino: ['u64', 32],
  stx_size: ['u64', 40],
  'stx_btime.tv_sec': ['i64', 80],
  'stx_btime.tv_nsec': ['u32', 88],
  'stx_mtime.tv_sec': ['i64', 112],
  'stx_mtime.tv_nsec': ['u32', 120],
  stx_rdev_major: ['u32', 128],
  stx_rdev_minor: ['u32', 132],
  stx_dev_major: ['u32', 136],
  stx_dev_minor: ['u32', 140],
} as const;

/** `man 2 statx` */
export const statx: Struct<typeof statx_fields> = new Struct({
  type: 'struct statx',
  header: 'linux/stat.h',
  size: 256,
  fields: statx_fields,
});
