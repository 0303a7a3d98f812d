/**
 * Seccomp user notification: two system call numbers of our own, answered from user space. Source: man 2 seccomp,
 * man 2 seccomp_unotify, Documentation/userspace-api/seccomp_filter.rst.
 */
import { seccomp_notif, seccomp_notif_resp, sock_filter, sock_fprog } from './abi/seccomp.ts';
import { LocalMemory, mustSyscall, syscall } from './ffi.ts';

/** The same numbers on every architecture. */
export const NR_checkpoint = 17234;
export const NR_restart = 17235;

export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_FILTER_FLAG_NEW_LISTENER = 8;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;
const SECCOMP_RET_ALLOW = 0x7fff0000;

/** Notify for our two numbers, allow everything else. Classic BPF: { code, jt, jf, k }. */
const instructions = [
  { code: 0x20, jt: 0, jf: 0, k: 0 }, // load seccomp_data.nr
  { code: 0x15, jt: 2, jf: 0, k: NR_checkpoint },
  { code: 0x15, jt: 1, jf: 0, k: NR_restart },
  { code: 0x06, jt: 0, jf: 0, k: SECCOMP_RET_ALLOW },
  { code: 0x06, jt: 0, jf: 0, k: SECCOMP_RET_USER_NOTIF },
];

/** struct sock_fprog whose instructions lie behind it, for memory at `address`. */
export function filterProgram(address: bigint): Uint8Array {
  const code = instructions.map((instruction) => sock_filter.make(instruction));
  const head = sock_fprog.make({ len: instructions.length, filter: address + BigInt(sock_fprog.size) });
  return Buffer.concat([head, ...code]);
}

export interface Notification {
  readonly id: bigint;
  /** Task that made the call, as we see it. */
  readonly tid: number;
  readonly number: number;
  readonly parameters: readonly bigint[];
}

const NOTIF_RECV = 0xc0502100;
const NOTIF_SEND = 0xc0182101;
const NOTIF_ID_VALID = 0x40082102;
const POLLIN = 1;

/** The end of the listener through which the calls are answered. */
export class Listener {
  readonly #fd: number;
  readonly #memory: LocalMemory = LocalMemory.allocate(4096);

  constructor(fd: number) {
    this.#fd = fd;
  }

  /** Waits for the next call; undefined when no task is left that could make one, `nothing` after so many milliseconds, or a signal. */
  next(): Notification | undefined;
  next(milliseconds: number): Notification | 'nothing' | undefined;
  next(milliseconds = -1): Notification | 'nothing' | undefined {
    const { view, bytes, address } = this.#memory;
    for (;;) {
      view.setInt32(0, this.#fd, true);
      view.setInt16(4, POLLIN, true);
      view.setInt16(6, 0, true);
      const ready = syscall('poll', address, 1, Math.ceil(milliseconds));
      if (ready <= 0 && milliseconds >= 0) return 'nothing';
      if (ready < 0) continue; // EINTR
      if ((view.getInt16(6, true) & POLLIN) === 0) return undefined; // POLLHUP
      bytes.fill(0, 0, seccomp_notif.size);
      if (syscall('ioctl', this.#fd, NOTIF_RECV, address) < 0) continue; // ENOENT: the caller is gone again
      const parameters = [0, 1, 2, 3, 4, 5].map((index) => view.getBigUint64(32 + index * 8, true));
      return { id: view.getBigUint64(0, true), tid: view.getUint32(8, true), number: view.getInt32(16, true), parameters };
    }
  }

  isValid(id: bigint): boolean {
    this.#memory.view.setBigUint64(0, id, true);
    return syscall('ioctl', this.#fd, NOTIF_ID_VALID, this.#memory.address) === 0;
  }

  /** Answers with a result, or with minus an errno. A caller that is gone does not matter. */
  answer(id: bigint, result: number): void {
    this.#memory.bytes.set(
      seccomp_notif_resp.make({ id, val: result < 0 ? 0n : BigInt(result), error: result < 0 ? result : 0, flags: 0 }),
    );
    syscall('ioctl', this.#fd, NOTIF_SEND, this.#memory.address);
  }
}

const PR_SET_NO_NEW_PRIVS = 38;
const EACCES = -13;
export const EBUSY = -16;

/**
 * Puts the filter on the calling thread; the listener's descriptor (close-on-exec), or EBUSY when an outer listener
 * serves this thread already. Without CAP_SYS_ADMIN this sets no_new_privs: set-user-ID programs stay ordinary.
 */
export function installFilter(): number {
  const memory = LocalMemory.scratch('filter', 4096);
  memory.bytes.set(filterProgram(memory.address));
  const install = (): number => syscall('seccomp', SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, memory.address);
  let fd = install();
  if (fd === EACCES) {
    mustSyscall('prctl', 'Cannot set no_new_privs', PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    fd = install();
  }
  return fd;
}
