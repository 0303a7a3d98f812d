/** Descriptors as a message on a Unix socket. Source: man 7 unix (SCM_RIGHTS), net/core/scm.c. */
import { cmsghdr, msghdr } from './abi/socket.ts';
import { iovec } from './abi/uio.ts';
import { LocalMemory, syscall, syscallError } from './ffi.ts';

/** SCM_MAX_FD: more in one message are refused. */
export const maxDescriptors = 253;
export const SCM_RIGHTS = 1;
export const SOL_SOCKET = 1;

/** Bytes of control data that hold `count` descriptors (CMSG_SPACE). */
export function controlSize(count: number): number {
  return cmsghdr.size + ((count * 4 + 7) & ~7);
}

/** The control message for these descriptors. */
export function controlOf(fds: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(controlSize(fds.length));
  const view = new DataView(bytes.buffer);
  cmsghdr.write(view, { cmsg_len: BigInt(cmsghdr.size + fds.length * 4), cmsg_level: SOL_SOCKET, cmsg_type: SCM_RIGHTS });
  fds.forEach((fd, index) => view.setInt32(cmsghdr.size + index * 4, fd, true));
  return bytes;
}

/** Sends one byte, and with it our descriptors, on a socket of ours. */
export function sendDescriptors(socket: number, fds: readonly number[]): void {
  const memory = LocalMemory.scratch('sendmsg', 4096);
  const control = controlOf(fds);
  const [vector, byte, controlAt] = [64, 80, 96];
  memory.bytes.set(control, controlAt);
  iovec.write(memory.view, { iov_base: memory.address + BigInt(byte), iov_len: 1n }, vector);
  memory.bytes.set(
    msghdr.make({
      msg_iov: memory.address + BigInt(vector),
      msg_iovlen: 1n,
      msg_control: memory.address + BigInt(controlAt),
      msg_controllen: BigInt(control.length),
    }),
  );
  const result = syscall('sendmsg', socket, memory.address, 0);
  if (result < 0)
    throw syscallError('sendmsg', result, 'Cannot hand over descriptors', { code: 'RESTART_FAILED', phase: 'restore' });
}
