/**
 * How 32-bit programs number their system calls. Source: arch/x86/entry/syscalls/syscall_32.tbl (asm/unistd_32.h).
 * Only the calls that we make on a program's behalf in its own way, and those whose blocking must be understood; where a
 * call comes twice, `…_time64` has 64-bit times and the other 32-bit ones.
 */
export const i386Numbers = {
  restart_syscall: 0,
  ipc: 117,
  munmap: 91,
  mprotect: 125,
  _newselect: 142,
  nanosleep: 162,
  poll: 168,
  rt_sigaction: 174,
  rt_sigprocmask: 175,
  rt_sigtimedwait: 177,
  mmap2: 192,
  futex: 240,
  io_getevents: 247,
  exit_group: 252,
  epoll_wait: 256,
  clock_nanosleep: 267,
  pselect6: 308,
  ppoll: 309,
  set_robust_list: 311,
  get_robust_list: 312,
  epoll_pwait: 319,
  io_pgetevents: 385,
  shmat: 397,
  clock_nanosleep_time64: 407,
  pselect6_time64: 413,
  ppoll_time64: 414,
  io_pgetevents_time64: 416,
  semtimedop_time64: 420,
  rt_sigtimedwait_time64: 421,
  futex_time64: 422,
  epoll_pwait2: 441,
} as const;
