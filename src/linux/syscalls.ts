/**
 * System call numbers by name. x86-64: arch/x86/entry/syscalls/syscall_64.tbl (asm/unistd_64.h).
 * Only calls that Stasis makes, here or in a target, and those whose blocking it must understand.
 */

export const x86_64Numbers = {
  read: 0, write: 1, open: 2, close: 3, mmap: 9, mprotect: 10, munmap: 11, brk: 12, rt_sigaction: 13, rt_sigprocmask: 14,
  ioctl: 16, pread64: 17, pwrite64: 18, readv: 19, writev: 20, mremap: 25, madvise: 28, mlock: 149, dup: 32, dup2: 33, dup3: 292,
  pause: 34, nanosleep: 35, getitimer: 36, setitimer: 38, getpid: 39, clone: 56, execve: 59, exit: 60, exit_group: 231,
  wait4: 61, kill: 62, fcntl: 72, poll: 7, ppoll: 271, select: 23, pselect6: 270, epoll_wait: 232, epoll_pwait: 281,
  epoll_pwait2: 441, futex: 202, futex_waitv: 449, clock_nanosleep: 230, semop: 65, semtimedop: 220, rt_sigtimedwait: 128,
  rt_sigsuspend: 130, rt_sigpending: 127, rt_sigreturn: 15, rt_tgsigqueueinfo: 297, restart_syscall: 219, io_getevents: 208,
  io_pgetevents: 333, ftruncate: 77, umask: 95, chdir: 80, fchdir: 81, lseek: 8, getrlimit: 97, prlimit64: 302, ptrace: 101,
  sigaltstack: 131, personality: 135, prctl: 157, arch_prctl: 158, setpriority: 141, getpriority: 140, set_tid_address: 218,
  set_robust_list: 273, get_robust_list: 274, rseq: 334, openat: 257, linkat: 265, close_range: 436, pidfd_open: 434,
  pidfd_getfd: 438, pidfd_send_signal: 424, kcmp: 312, process_vm_readv: 310, process_vm_writev: 311, process_madvise: 440,
  seccomp: 317, setsid: 112, getsid: 124, setpgid: 109, getpgid: 121, tgkill: 234, userfaultfd: 323, memfd_create: 319,
  getuid: 102, geteuid: 107, setresuid: 117, setresgid: 119, capget: 125, getdents64: 217, clock_gettime: 228, socket: 41,
  connect: 42, sched_setaffinity: 203, sched_getaffinity: 204, gettid: 186, pipe2: 293, fsync: 74, sched_yield: 24,
  sendfile: 40, shutdown: 48, unshare: 272, flock: 73, setgroups: 116,
} as const;

export type SyscallName = keyof typeof x86_64Numbers;
export type SyscallNumbers = Readonly<Record<SyscallName, number>>;

/** The name of a call number, for messages; `syscall N` when the table does not have it. */
export function syscallName(numbers: SyscallNumbers, number: number): string {
  for (const [name, value] of Object.entries(numbers)) if (value === number) return name;
  return `syscall ${number}`;
}
