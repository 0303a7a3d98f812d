/** What PTRACE requests take and give (linux/ptrace.h). */
import { Struct } from '../structs.ts';

const ptrace_rseq_configuration_fields = {
  rseq_abi_pointer: ['u64', 0],
  rseq_abi_size: ['u32', 8],
  signature: ['u32', 12],
  flags: ['u32', 16],
  pad: ['u32', 20],
} as const;

/** `man 2 ptrace`: PTRACE_GET_RSEQ_CONFIGURATION, since Linux 5.13. */
export const ptrace_rseq_configuration: Struct<typeof ptrace_rseq_configuration_fields> = new Struct({
  type: 'struct ptrace_rseq_configuration',
  header: 'linux/ptrace.h',
  size: 24,
  fields: ptrace_rseq_configuration_fields,
  recent: {
    macro: 'PTRACE_GET_RSEQ_CONFIGURATION',
    declaration: `struct ptrace_rseq_configuration {
      __u64 rseq_abi_pointer; __u32 rseq_abi_size; __u32 signature; __u32 flags; __u32 pad;
    };`,
  },
});

const ptrace_peeksiginfo_args_fields = {
  off: ['u64', 0],
  flags: ['u32', 8],
  nr: ['i32', 12],
} as const;

/** `man 2 ptrace`: PTRACE_PEEKSIGINFO. */
export const ptrace_peeksiginfo_args: Struct<typeof ptrace_peeksiginfo_args_fields> = new Struct({
  type: 'struct ptrace_peeksiginfo_args',
  header: 'linux/ptrace.h',
  size: 16,
  fields: ptrace_peeksiginfo_args_fields,
});

const seccomp_metadata_fields = {
  filter_off: ['u64', 0],
  flags: ['u64', 8],
} as const;

/** `man 2 ptrace`: PTRACE_SECCOMP_GET_METADATA. */
export const seccomp_metadata: Struct<typeof seccomp_metadata_fields> = new Struct({
  type: 'struct seccomp_metadata',
  header: 'linux/ptrace.h',
  size: 16,
  fields: seccomp_metadata_fields,
});

const ptrace_sud_config_fields = {
  mode: ['u64', 0],
  selector: ['u64', 8],
  offset: ['u64', 16],
  len: ['u64', 24],
} as const;

/** PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG, since Linux 6.4 (kernel/entry/syscall_user_dispatch.c). */
export const ptrace_sud_config: Struct<typeof ptrace_sud_config_fields> = new Struct({
  type: 'struct ptrace_sud_config',
  header: 'linux/ptrace.h',
  size: 32,
  fields: ptrace_sud_config_fields,
  recent: {
    macro: 'PTRACE_GET_SYSCALL_USER_DISPATCH_CONFIG',
    declaration: 'struct ptrace_sud_config { __u64 mode; __u64 selector; __u64 offset; __u64 len; };',
  },
});
