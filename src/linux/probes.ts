/**
 * Whether the kernel lets this process make the calls that Stasis needs, tried on this process itself, so that nothing
 * changes. Each answers as the system call does: a result, or minus the errno.
 */
import { closeSync, openSync } from 'node:fs';
import { findCodec } from './codecs.ts';
import { LocalMemory, syscall, type Word } from './ffi.ts';

const scratchSize = 4096;

function scratch(): LocalMemory {
  const memory = LocalMemory.scratch('probes', scratchSize);
  memory.bytes.fill(0);
  return memory;
}

/** Closes a descriptor that was only wanted for whether it can be had. */
function closed(fd: number): number {
  if (fd < 0) return fd;
  closeSync(fd);
  return 0;
}

function prctl(option: number, second: Word, third: Word): number {
  return syscall('prctl', option, second, third, 0, 0);
}

export type ProbeName =
  | 'ffi'
  | 'ptrace'
  | 'processVm'
  | 'pidfdGetfd'
  | 'seccompNotification'
  | 'pagemapScan'
  | 'kcmp'
  | 'userfaultfd'
  | 'lz4'
  | 'zstd'
  | 'memoryMap';

export const probes: Readonly<Record<ProbeName, () => number>> = {
  /** The library and the C library work. */
  ffi: (): number => (syscall('getpid') === process.pid ? 0 : -1),

  /** ESRCH from a kernel that would have traced, since process 0 does not exist (man 2 ptrace). */
  ptrace: (): number => {
    const PTRACE_DETACH = 17;
    return syscall('ptrace', PTRACE_DETACH, 0, 0, 0);
  },

  /** man 2 process_vm_readv: nothing to read, from ourselves. */
  processVm: (): number => syscall('process_vm_readv', process.pid, 0, 0, 0, 0, 0),

  /** man 2 pidfd_getfd, of our own standard error. */
  pidfdGetfd: (): number => {
    const pidfd = syscall('pidfd_open', process.pid, 0);
    if (pidfd < 0) return pidfd;
    const result = closed(syscall('pidfd_getfd', pidfd, 2, 0));
    closeSync(pidfd);
    return result;
  },

  /** man 2 seccomp. */
  seccompNotification: (): number => {
    const SECCOMP_GET_NOTIF_SIZES = 3;
    return syscall('seccomp', SECCOMP_GET_NOTIF_SIZES, 0, scratch().address);
  },

  /** Documentation/admin-guide/mm/pagemap.rst: an empty range. */
  pagemapScan: (): number => {
    const PAGEMAP_SCAN = 0xc0606610;
    const { view, address } = scratch();
    view.setBigUint64(0, 96n, true); // size of struct pm_scan_arg
    const fd = openSync('/proc/self/pagemap', 'r');
    const result = syscall('ioctl', fd, PAGEMAP_SCAN, address);
    closeSync(fd);
    return result;
  },

  /** man 2 kcmp: our own standard error with itself. */
  kcmp: (): number => {
    const KCMP_FILE = 0;
    return syscall('kcmp', process.pid, process.pid, KCMP_FILE, 2, 2);
  },

  /** man 2 userfaultfd, for faults in user mode, which takes least privilege. */
  userfaultfd: (): number => {
    const UFFD_USER_MODE_ONLY = 1;
    const O_CLOEXEC = 0o2000000;
    return closed(syscall('userfaultfd', O_CLOEXEC | UFFD_USER_MODE_ONLY));
  },

  /** ENOENT: the library is not there. */
  lz4: (): number => (findCodec('lz4') === undefined ? -2 : 0),
  zstd: (): number => (findCodec('zstd') === undefined ? -2 : 0),

  /** man 2 PR_SET_MM: the size of struct prctl_mm_map, if the kernel was built with CONFIG_CHECKPOINT_RESTORE. */
  memoryMap: (): number => {
    const PR_SET_MM = 35;
    const PR_SET_MM_MAP_SIZE = 15;
    return prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, scratch().address);
  },
};
