/** Seccomp filters that ask user space (linux/seccomp.h, `man 2 seccomp_unotify`) and classic BPF (linux/filter.h). */
import { Struct } from '../structs.ts';

const seccomp_data_fields = {
  nr: ['i32', 0],
  arch: ['u32', 4],
  instruction_pointer: ['u64', 8],
  'args[0]': ['u64', 16],
  'args[1]': ['u64', 24],
  'args[2]': ['u64', 32],
  'args[3]': ['u64', 40],
  'args[4]': ['u64', 48],
  'args[5]': ['u64', 56],
} as const;

/** What a filter sees of a call. */
export const seccomp_data: Struct<typeof seccomp_data_fields> = new Struct({
  type: 'struct seccomp_data',
  header: 'linux/seccomp.h',
  size: 64,
  fields: seccomp_data_fields,
});

const seccomp_notif_fields = {
  id: ['u64', 0],
  pid: ['u32', 8],
  flags: ['u32', 12],
  data: ['bytes', 16, 64],
} as const;

/** A call that waits for an answer. `data` is a seccomp_data. */
export const seccomp_notif: Struct<typeof seccomp_notif_fields> = new Struct({
  type: 'struct seccomp_notif',
  header: 'linux/seccomp.h',
  size: 80,
  fields: seccomp_notif_fields,
});

const seccomp_notif_resp_fields = {
  id: ['u64', 0],
  val: ['i64', 8],
  error: ['i32', 16],
  flags: ['u32', 20],
} as const;

/** The answer. `error` is a negative errno. */
export const seccomp_notif_resp: Struct<typeof seccomp_notif_resp_fields> = new Struct({
  type: 'struct seccomp_notif_resp',
  header: 'linux/seccomp.h',
  size: 24,
  fields: seccomp_notif_resp_fields,
});

const seccomp_notif_addfd_fields = {
  id: ['u64', 0],
  flags: ['u32', 8],
  srcfd: ['u32', 12],
  newfd: ['u32', 16],
  newfd_flags: ['u32', 20],
} as const;

/** A descriptor for the one who waits. */
export const seccomp_notif_addfd: Struct<typeof seccomp_notif_addfd_fields> = new Struct({
  type: 'struct seccomp_notif_addfd',
  header: 'linux/seccomp.h',
  size: 24,
  fields: seccomp_notif_addfd_fields,
});

const seccomp_notif_sizes_fields = {
  seccomp_notif: ['u16', 0],
  seccomp_notif_resp: ['u16', 2],
  seccomp_data: ['u16', 4],
} as const;

/** What SECCOMP_GET_NOTIF_SIZES gives: the kernel may know longer ones. */
export const seccomp_notif_sizes: Struct<typeof seccomp_notif_sizes_fields> = new Struct({
  type: 'struct seccomp_notif_sizes',
  header: 'linux/seccomp.h',
  size: 6,
  fields: seccomp_notif_sizes_fields,
});

const sock_filter_fields = {
  code: ['u16', 0],
  jt: ['u8', 2],
  jf: ['u8', 3],
  k: ['u32', 4],
} as const;

/** One instruction. */
export const sock_filter: Struct<typeof sock_filter_fields> = new Struct({
  type: 'struct sock_filter',
  header: 'linux/filter.h',
  size: 8,
  fields: sock_filter_fields,
});

const sock_fprog_fields = {
  len: ['u16', 0],
  filter: ['u64', 8],
} as const;

/** A program: `len` instructions at `filter`. */
export const sock_fprog: Struct<typeof sock_fprog_fields> = new Struct({
  type: 'struct sock_fprog',
  header: 'linux/filter.h',
  size: 16,
  fields: sock_fprog_fields,
});
