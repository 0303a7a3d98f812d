/** Parameters of clone3 (linux/sched.h). */
import { Struct } from '../structs.ts';

const clone_args_fields = {
  flags: ['u64', 0],
  pidfd: ['u64', 8],
  child_tid: ['u64', 16],
  parent_tid: ['u64', 24],
  exit_signal: ['u64', 32],
  stack: ['u64', 40],
  stack_size: ['u64', 48],
  tls: ['u64', 56],
  set_tid: ['u64', 64],
  set_tid_size: ['u64', 72],
  cgroup: ['u64', 80],
} as const;

/** `man 2 clone3`. */
export const clone_args: Struct<typeof clone_args_fields> = new Struct({
  type: 'struct clone_args',
  header: 'linux/sched.h',
  size: 88,
  fields: clone_args_fields,
});
