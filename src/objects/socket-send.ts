/** Puts data into the queue of a socket under restart, by sending it from the other end. */
import { errno } from '../linux/errno.ts';
import { syscallError } from '../linux/ffi.ts';
import { asUser } from '../linux/effective-ids.ts';
import { getInt, MSG, sendMessage, setOption, type Sending } from '../linux/sockets.ts';

const SOL_SOCKET = 1;
const buffers = [
  { size: 7, force: 32 }, // SO_SNDBUF, SO_SNDBUFFORCE
  { size: 8, force: 33 }, // SO_RCVBUF, SO_RCVBUFFORCE
] as const;
const SO_BUF_LOCK = 72;

/** All of it. Where there is less room than the data had before, there is more for the moment. */
export function sendAll(from: number, to: number | undefined, sending: Sending): void {
  const first = sendAs(from, sending);
  const { data } = sending;
  const isDone = first >= data.length || (first < 0 && first !== -errno.EAGAIN && first !== -errno.EMSGSIZE);
  const result = isDone ? first : withRoom(from, to, data.length, () => rest(from, sending, Math.max(0, first)));
  if (result < data.length)
    throw syscallError('sendmsg', Math.min(result, -errno.EAGAIN), 'Cannot put data into a socket again', {
      code: 'RESTART_FAILED',
      phase: 'restore',
    });
}

function rest(from: number, sending: Sending, done: number): number {
  let at = done;
  while (at < sending.data.length || at === 0) {
    const sent = sendAs(from, { ...sending, data: sending.data.subarray(at), ...(at > 0 && { fds: [] }) });
    if (sent < 0) return sent;
    at += sent;
    if (sending.data.length === 0) break;
  }
  return at;
}

/** With buffers for so many bytes more, for sending here and receiving there. */
export function withRoom<T>(from: number, to: number | undefined, size: number, work: () => T): T {
  const changed = [{ fd: from, ...buffers[0] }, ...(to === undefined ? [] : [{ fd: to, ...buffers[1] }])].map((buffer) => ({
    buffer,
    before: getInt(buffer.fd, SOL_SOCKET, buffer.size) ?? 0,
    lock: getInt(buffer.fd, SOL_SOCKET, SO_BUF_LOCK) ?? 0,
  }));
  const set = ({ fd, size: option, force }: { fd: number; size: number; force: number }, value: number): void => {
    if (setOption(fd, SOL_SOCKET, force, value) < 0) setOption(fd, SOL_SOCKET, option, value);
  };
  for (const { buffer, before } of changed) set(buffer, before + size * 4 + 65536);
  try {
    return work();
  } finally {
    for (const { buffer, before, lock } of changed) {
      set(buffer, before >> 1);
      setOption(buffer.fd, SOL_SOCKET, SO_BUF_LOCK, lock);
    }
  }
}

/** With the credentials of the sender where we may: a process id that nobody has any more becomes ours. */
function sendAs(fd: number, sending: Sending): number {
  const flags = MSG.NOSIGNAL | MSG.DONTWAIT;
  const { credentials } = sending;
  if (credentials === undefined) return sendMessage(fd, sending, flags);
  const exact = sendMessage(fd, sending, flags);
  if (exact !== -errno.ESRCH && exact !== -errno.EPERM) return exact;
  return asUser(credentials, () => sendMessage(fd, { ...sending, credentials: undefined }, flags));
}
