/** PTRACE_GET_RSEQ_CONFIGURATION (linux/ptrace.h, since Linux 5.13). */
import { Struct } from '../structs.ts';

const ptrace_rseq_configuration_fields = {
  rseq_abi_pointer: ['u64', 0],
  rseq_abi_size: ['u32', 8],
  signature: ['u32', 12],
  flags: ['u32', 16],
  pad: ['u32', 20],
} as const;

/** `man 2 ptrace` */
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
