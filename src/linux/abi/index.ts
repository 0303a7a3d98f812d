/** All struct tables, for the test that compares them with the C headers. Programs import the files beside this one. */
import type { Fields, StructTable } from '../structs.ts';
import { nlattr, nlmsghdr } from './netlink.ts';
import { clone_args } from './clone.ts';
import { epoll_event, kcmp_epoll_slot } from './epoll.ts';
import { f_owner_ex } from './fcntl.ts';
import { flock } from './flock.ts';
import { compat_sigaction, timespec32, user_desc } from './compat.ts';
import { pm_scan_arg, page_region } from './pagemap.ts';
import { pollfd } from './poll.ts';
import { prctl_mm_map } from './prctl.ts';
import { ptrace_peeksiginfo_args, ptrace_rseq_configuration, ptrace_sud_config, seccomp_metadata } from './ptrace.ts';
import { rlimit64 } from './resource.ts';
import {
  seccomp_data,
  seccomp_notif,
  seccomp_notif_resp,
  seccomp_notif_addfd,
  seccomp_notif_sizes,
  sock_filter,
  sock_fprog,
} from './seccomp.ts';
import { shmid64_ds } from './shm.ts';
import { siginfo, sigevent, stack_t, kernel_sigaction } from './signal.ts';
import {
  inet_diag_msg,
  inet_diag_req_v2,
  netlink_diag_msg,
  netlink_diag_req,
  unix_diag_msg,
  unix_diag_req,
} from './sock-diag.ts';
import { cmsghdr, msghdr, sockaddr_in, sockaddr_in6, sockaddr_ll, sockaddr_nl, sockaddr_un } from './socket.ts';
import { statx } from './stat.ts';
import { termios, winsize } from './termios.ts';
import { itimerspec, timespec, itimerval } from './time.ts';
import { uffd_msg, uffdio_api, uffdio_copy, uffdio_register, uffdio_zeropage } from './userfaultfd.ts';
import { iovec } from './uio.ts';
import { user_regs_struct } from './user-x86_64.ts';

export const structTables: readonly StructTable<Fields>[] = [
  clone_args,
  flock,
  pm_scan_arg,
  page_region,
  pollfd,
  f_owner_ex,
  epoll_event,
  kcmp_epoll_slot,
  prctl_mm_map,
  ptrace_peeksiginfo_args,
  ptrace_rseq_configuration,
  ptrace_sud_config,
  seccomp_metadata,
  rlimit64,
  seccomp_data,
  seccomp_notif,
  seccomp_notif_resp,
  seccomp_notif_addfd,
  seccomp_notif_sizes,
  sock_filter,
  sock_fprog,
  shmid64_ds,
  siginfo,
  sigevent,
  stack_t,
  kernel_sigaction,
  cmsghdr,
  msghdr,
  sockaddr_in,
  sockaddr_in6,
  sockaddr_ll,
  sockaddr_nl,
  sockaddr_un,
  nlattr,
  nlmsghdr,
  inet_diag_msg,
  inet_diag_req_v2,
  netlink_diag_msg,
  netlink_diag_req,
  unix_diag_msg,
  unix_diag_req,
  statx,
  termios,
  winsize,
  timespec,
  itimerspec,
  itimerval,
  uffd_msg,
  uffdio_api,
  uffdio_copy,
  uffdio_register,
  uffdio_zeropage,
  iovec,
  user_regs_struct,
  timespec32,
  compat_sigaction,
  user_desc,
].map((struct) => struct.table);
