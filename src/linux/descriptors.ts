/** Descriptors of other processes. Source: man 2 pidfd_open, pidfd_getfd, kcmp. */
import { closeSync } from 'node:fs';
import { kcmp_epoll_slot } from './abi/epoll.ts';
import { LocalMemory, mustSyscall, syscall, syscallError } from './ffi.ts';

/** A pidfd; closed on dispose. */
export class PidFd implements Disposable {
  readonly pid: number;
  readonly fd: number;

  constructor(pid: number) {
    this.pid = pid;
    this.fd = mustSyscall('pidfd_open', `Cannot open process ${pid}`, pid, 0);
  }

  /** Our own duplicate of a descriptor of the process (the same open file description), or minus the errno. */
  duplicate(fd: number): number {
    return syscall('pidfd_getfd', this.fd, fd, 0);
  }

  kill(signal: number): number {
    return syscall('pidfd_send_signal', this.fd, signal, 0, 0);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}

/** Source: include/uapi/linux/kcmp.h. */
const KCMP = { FILE: 0, VM: 1, FILES: 2, FS: 3, SIGHAND: 4 } as const;

export type Resource = Exclude<keyof typeof KCMP, 'FILE'>;

/** The order of what two tasks have of a resource: 0 when they share it. */
export function compareResources(one: number, other: number, resource: Resource): number {
  return mustSyscall('kcmp', `Cannot compare ${one} and ${other}`, one, other, KCMP[resource], 0, 0);
}

/** What `use` finds out by our own duplicate of a descriptor of a process, closed again afterwards. */
export function borrow<T>({ pid, fd }: Place, use: (fd: number) => T): T {
  using process = new PidFd(pid);
  const duplicate = process.duplicate(fd);
  if (duplicate < 0) throw syscallError('pidfd_getfd', duplicate, `Cannot look at descriptor ${fd} of ${pid}`);
  try {
    return use(duplicate);
  } finally {
    closeSync(duplicate);
  }
}

/** A descriptor of some process. */
export interface Place {
  readonly pid: number;
  readonly fd: number;
}

/** The order of two open file descriptions: 0 when they are the same, else 1 or 2, as a sort needs it. */
export function compareDescriptions(one: Place, other: Place): number {
  const action = `Cannot compare descriptors of ${one.pid} and ${other.pid}`;
  return mustSyscall('kcmp', action, one.pid, other.pid, KCMP.FILE, one.fd, other.fd);
}

/** Whether two descriptors stand for the same open file description. */
export function sameDescription(pid: number, fd: number, otherPid: number, otherFd: number): boolean {
  return compareDescriptions({ pid, fd }, { pid: otherPid, fd: otherFd }) === 0;
}

/** An item of an epoll descriptor: its number in the epoll descriptor's process, and which of those with that number. */
export interface Watch {
  readonly epoll: number;
  readonly target: number;
  readonly offset: number;
}

const KCMP_EPOLL_TFD = 7;

/** Whether an item of an epoll descriptor of `pid` watches the open file behind a descriptor. */
export function isWatched(pid: number, { epoll, target, offset }: Watch, place: Place): boolean {
  const memory = LocalMemory.scratch('kcmp', kcmp_epoll_slot.size);
  kcmp_epoll_slot.write(memory.view, { efd: epoll, tfd: target, toff: offset });
  const action = `Cannot compare descriptors of ${place.pid} and ${pid}`;
  return mustSyscall('kcmp', action, place.pid, pid, KCMP_EPOLL_TFD, place.fd, memory.address) === 0;
}

/** A pipe, close-on-exec. The end for writing has a number of at least 10, out of the way of those given to helpers. */
export function makePipe(): [read: number, write: number] {
  const O_CLOEXEC = 0o2000000;
  const memory = LocalMemory.scratch('pipe', 8);
  mustSyscall('pipe2', 'Cannot make a pipe', memory.address, O_CLOEXEC);
  const [read, write] = [memory.view.getInt32(0, true), memory.view.getInt32(4, true)];
  const F_DUPFD_CLOEXEC = 1030;
  const high = mustSyscall('fcntl', 'Cannot make a pipe', write, F_DUPFD_CLOEXEC, 10);
  closeSync(write);
  return [read, high];
}
