/** Signals (asm/signal.h, asm-generic/siginfo.h). */
import { Struct } from '../structs.ts';

const siginfo_fields = {
  si_signo: ['i32', 0],
  si_errno: ['i32', 4],
  si_code: ['i32', 8],
  si_pid: ['i32', 16],
  si_uid: ['u32', 20],
  si_status: ['i32', 24],
  si_timerid: ['i32', 16],
  si_overrun: ['i32', 20],
  'si_value.sival_ptr': ['u64', 24],
  si_addr: ['u64', 16],
  si_call_addr: ['u64', 16],
  si_syscall: ['i32', 24],
  si_arch: ['u32', 28],
} as const;

/** `man 2 sigaction`. The head, and of the union behind it the members that a tracer meets; they overlap. */
export const siginfo: Struct<typeof siginfo_fields> = new Struct({
  type: 'siginfo_t',
  header: 'signal.h',
  size: 128,
  fields: siginfo_fields,
});

const sigevent_fields = {
  'sigev_value.sival_ptr': ['u64', 0],
  sigev_signo: ['i32', 8],
  sigev_notify: ['i32', 12],
  '_sigev_un._tid': ['i32', 16],
} as const;

/** `man 3type sigevent` */
export const sigevent: Struct<typeof sigevent_fields> = new Struct({
  type: 'struct sigevent',
  header: 'signal.h',
  size: 64,
  fields: sigevent_fields,
});

const stack_t_fields = {
  ss_sp: ['u64', 0],
  ss_flags: ['i32', 8],
  ss_size: ['u64', 16],
} as const;

/** `man 2 sigaltstack` */
export const stack_t: Struct<typeof stack_t_fields> = new Struct({
  type: 'stack_t',
  header: 'asm/signal.h',
  size: 24,
  fields: stack_t_fields,
});

const kernel_sigaction_fields = {
  sa_handler: ['u64', 0],
  sa_flags: ['u64', 8],
  sa_restorer: ['u64', 16],
  sa_mask: ['u64', 24],
} as const;

/** What rt_sigaction takes; the C library has another `struct sigaction`. */
export const kernel_sigaction: Struct<typeof kernel_sigaction_fields> = new Struct({
  type: 'struct sigaction',
  header: 'asm/signal.h',
  size: 32,
  fields: kernel_sigaction_fields,
  arch: 'x64',
});
