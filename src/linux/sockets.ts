/**
 * System calls on sockets of this process, or on our duplicates of a target's. A duplicate is the target's own socket: what
 * is done to it, happens to the target. Source: man 2 socket, getsockopt, recvmsg, sendmsg; man 7 socket, unix.
 */
import { iovec } from './abi/uio.ts';
import { cmsghdr, msghdr } from './abi/socket.ts';
import { LocalMemory, mustSyscall, syscall } from './ffi.ts';

export const SOCK = { STREAM: 1, DGRAM: 2, RAW: 3, SEQPACKET: 5, CLOEXEC: 0o2000000, NONBLOCK: 0o4000 } as const;
export const MSG = {
  OOB: 1,
  PEEK: 2,
  DONTWAIT: 0x40,
  TRUNC: 0x20,
  CTRUNC: 8,
  NOSIGNAL: 0x4000,
  CMSG_CLOEXEC: 0x4000_0000,
} as const;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SCM_CREDENTIALS = 2;

const small = 4096;

export function openSocket(family: number, type: number, protocol = 0): number {
  return mustSyscall('socket', 'Cannot make a socket', family, type | SOCK.CLOEXEC, protocol);
}

export function openSocketPair(type: number): [number, number] {
  const AF_UNIX = 1;
  const { address, view } = LocalMemory.scratch('sockets', small);
  mustSyscall('socketpair', 'Cannot make a pair of sockets', AF_UNIX, type | SOCK.CLOEXEC, 0, address);
  return [view.getInt32(0, true), view.getInt32(4, true)];
}

/** A call that takes an address: bind or connect. Minus the errno. */
export function withAddress(call: 'bind' | 'connect', fd: number, bytes: Uint8Array): number {
  const memory = LocalMemory.scratch('sockets', small);
  memory.bytes.set(bytes);
  return syscall(call, fd, memory.address, bytes.length);
}

/** A call that gives an address: getsockname or getpeername. undefined when there is none (ENOTCONN). */
export function addressOf(call: 'getsockname' | 'getpeername', fd: number): Uint8Array | undefined {
  const { address, view, bytes } = LocalMemory.scratch('sockets', small);
  view.setUint32(0, 256, true);
  if (syscall(call, fd, address + 16n, address) < 0) return undefined;
  return bytes.slice(16, 16 + Math.min(256, view.getUint32(0, true)));
}

/** The value of an option, at most `size` bytes of it; or minus the errno. */
export function getOption(fd: number, level: number, option: number, size: number): Uint8Array | number {
  const memory = LocalMemory.scratch('socket option', Math.max(small, size + 16));
  memory.view.setUint32(0, size, true);
  const result = syscall('getsockopt', fd, level, option, memory.address + 16n, memory.address);
  return result < 0 ? result : memory.bytes.slice(16, 16 + Math.min(size, memory.view.getUint32(0, true)));
}

/** The value of an option that is asked for by bytes, which also say how long it may be; or minus the errno. */
export function queryOption(fd: number, level: number, option: number, query: Uint8Array): Uint8Array | number {
  const memory = LocalMemory.scratch('socket option', Math.max(small, query.length + 16));
  memory.view.setUint32(0, query.length, true);
  memory.bytes.set(query, 16);
  const result = syscall('getsockopt', fd, level, option, memory.address + 16n, memory.address);
  return result < 0 ? result : memory.bytes.slice(16, 16 + Math.min(query.length, memory.view.getUint32(0, true)));
}

/** The value of an option that is an int, or undefined where the kernel or the socket does not have it. */
export function getInt(fd: number, level: number, option: number): number | undefined {
  const { address, view } = LocalMemory.scratch('socket option', small);
  view.setUint32(0, 4, true);
  view.setInt32(16, 0, true);
  return syscall('getsockopt', fd, level, option, address + 16n, address) < 0 ? undefined : view.getInt32(16, true);
}

/** Minus the errno. */
export function setOption(fd: number, level: number, option: number, value: Uint8Array | number): number {
  const size = typeof value === 'number' ? 4 : value.length;
  const memory = LocalMemory.scratch('socket option', Math.max(small, size + 16));
  if (typeof value === 'number') memory.view.setInt32(16, value, true);
  else memory.bytes.set(value, 16);
  return syscall('setsockopt', fd, level, option, memory.address + 16n, size);
}

/** An ioctl that answers with an int: SIOCINQ, SIOCOUTQ… Minus the errno. */
export function getIoctl(fd: number, request: number): number {
  const { address, view } = LocalMemory.scratch('socket option', small);
  view.setInt32(0, 0, true);
  const result = syscall('ioctl', fd, request, address);
  return result < 0 ? result : view.getInt32(0, true);
}

export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface Message {
  readonly data: Uint8Array;
  /** Bytes of the sender's address; none when it has none. */
  readonly name: Uint8Array;
  /** Descriptors that came along: ours to close. */
  readonly fds: readonly number[];
  readonly credentials: Credentials | undefined;
  /** MSG_* */
  readonly flags: number;
}

const nameRoom = 128;
const controlRoom = 8192; // SCM_MAX_FD is 253
const bodyAt = 64 + 16 + nameRoom + controlRoom;

/** One message with what belongs to it, at most `size` bytes of it; or minus the errno. */
export function receiveMessage(fd: number, flags: number, size: number): Message | number {
  const memory = LocalMemory.scratch('message', bodyAt + Math.max(size, small));
  const { address, view, bytes } = memory;
  iovec.write(view, { iov_base: address + BigInt(bodyAt), iov_len: BigInt(size) }, 64);
  msghdr.write(view, {
    msg_name: address + 80n,
    msg_namelen: nameRoom,
    msg_iov: address + 64n,
    msg_iovlen: 1n,
    msg_control: address + BigInt(80 + nameRoom),
    msg_controllen: BigInt(controlRoom),
    msg_flags: 0,
  });
  const result = syscall('recvmsg', fd, address, flags | MSG.CMSG_CLOEXEC);
  if (result < 0) return result;
  const { msg_namelen, msg_controllen, msg_flags } = msghdr.read(view);
  const fds: number[] = [];
  let credentials: Credentials | undefined;
  const control = 80 + nameRoom;
  for (let at = control; at + cmsghdr.size <= control + Number(msg_controllen);) {
    const { cmsg_len, cmsg_level, cmsg_type } = cmsghdr.read(view, at);
    const end = at + Number(cmsg_len);
    if (cmsg_level === SOL_SOCKET && cmsg_type === SCM_RIGHTS) {
      for (let place = at + cmsghdr.size; place + 4 <= end; place += 4) fds.push(view.getInt32(place, true));
    }
    if (cmsg_level === SOL_SOCKET && cmsg_type === SCM_CREDENTIALS) {
      const from = at + cmsghdr.size;
      const [pid, uid, gid] = [view.getInt32(from, true), view.getUint32(from + 4, true), view.getUint32(from + 8, true)];
      credentials = { pid, uid, gid };
    }
    if (end <= at) break;
    at = (end + 7) & ~7;
  }
  return {
    data: bytes.slice(bodyAt, bodyAt + Math.min(result, size)),
    name: bytes.slice(80, 80 + Math.min(msg_namelen, nameRoom)),
    fds,
    credentials,
    flags: msg_flags,
  };
}

export interface Sending {
  readonly data: Uint8Array;
  readonly to?: Uint8Array | undefined;
  readonly fds?: readonly number[];
  readonly credentials?: Credentials | undefined;
}

/** The number of bytes that were taken, or minus the errno. */
export function sendMessage(fd: number, { data, to, fds = [], credentials }: Sending, flags: number = MSG.NOSIGNAL): number {
  const memory = LocalMemory.scratch('message', bodyAt + Math.max(data.length, small));
  const { address, view, bytes } = memory;
  bytes.set(data, bodyAt);
  if (to !== undefined) bytes.set(to, 80);
  iovec.write(view, { iov_base: address + BigInt(bodyAt), iov_len: BigInt(data.length) }, 64);
  const control = 80 + nameRoom;
  let end = control;
  const begin = (type: number, length: number): number => {
    const at = end;
    cmsghdr.write(view, { cmsg_len: BigInt(cmsghdr.size + length), cmsg_level: SOL_SOCKET, cmsg_type: type }, at);
    end = (at + cmsghdr.size + length + 7) & ~7;
    return at + cmsghdr.size;
  };
  if (fds.length > 0) {
    const at = begin(SCM_RIGHTS, fds.length * 4);
    for (const [index, value] of fds.entries()) view.setInt32(at + index * 4, value, true);
  }
  if (credentials !== undefined) {
    const at = begin(SCM_CREDENTIALS, 12);
    view.setInt32(at, credentials.pid, true);
    view.setUint32(at + 4, credentials.uid, true);
    view.setUint32(at + 8, credentials.gid, true);
  }
  msghdr.write(view, {
    msg_name: to === undefined ? 0n : address + 80n,
    msg_namelen: to?.length ?? 0,
    msg_iov: address + 64n,
    msg_iovlen: 1n,
    msg_control: end === control ? 0n : address + BigInt(control),
    msg_controllen: BigInt(end - control),
    msg_flags: 0,
  });
  return syscall('sendmsg', fd, address, flags);
}
