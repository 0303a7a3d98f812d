/** Fills the queues of unix sockets under restart: each message is sent again from where it came. Source: man 7 unix. */
import { closeSync } from 'node:fs';
import { syscallError } from '../linux/ffi.ts';
import { errno } from '../linux/errno.ts';
import { asUser } from '../linux/effective-ids.ts';
import { AF, decodeAddress, encodeAddress } from '../linux/socket-address.ts';
import { getInt, MSG, openSocket, sendMessage, setOption, SOCK, type Sending } from '../linux/sockets.ts';
import { bindName, within } from './unix-names.ts';
import type { QueuedMessage } from './socket-queue.ts';
import type { SocketWorld } from './socket-world.ts';
import type { UnixEnd } from './unix-sockets.ts';

export function fillQueues(ends: readonly UnixEnd[], world: SocketWorld): void {
  for (const end of ends) {
    for (const message of world.queueOf(end.objref)) {
      const fds = message.rights.map((objref) => world.locals.get(objref));
      const sending = { data: message.data, fds, credentials: message.sender };
      if (end.other >= 0 && (end.value.type !== 'dgram' || message.from === undefined)) send(end.other, sending);
      else sendFromName(end, message, sending, ends);
    }
  }
}

/** A datagram of whoever had, or has, this name. */
function sendFromName(end: UnixEnd, { from }: QueuedMessage, sending: Sending, ends: readonly UnixEnd[]): void {
  const address = from === undefined ? undefined : decodeAddress(from);
  const name = address?.family === 'unix' ? Buffer.from(address.name) : undefined;
  const known = name && ends.find(({ value }) => value.type === 'dgram' && value.name !== undefined && name.equals(value.name));
  const to = end.other >= 0 ? undefined : encodeAddress({ family: 'unix', name: end.value.name ?? new Uint8Array(0) });
  const deliver = (fd: number): void => within(end.value.file?.directory ?? '/', () => send(fd, { ...sending, to }));
  if (end.other >= 0) return deliver(end.other);
  if (known !== undefined && known.fd !== end.fd) return deliver(known.fd);
  const fd = openSocket(AF.UNIX, SOCK.DGRAM);
  const directory = end.value.file?.directory ?? '/';
  try {
    const bound = name === undefined ? undefined : bindName(fd, name, { directory, gone: true, mode: 0, uid: 0, gid: 0 });
    deliver(fd);
    bound?.removeIfGone();
  } finally {
    closeSync(fd);
  }
}

const SOL_SOCKET = 1;
const SO_SNDBUF = 7;
const SO_SNDBUFFORCE = 32;
const SO_BUF_LOCK = 72;

function send(fd: number, sending: Sending): void {
  const { data } = sending;
  const sent = attempt(fd, sending);
  if (sent < data.length)
    throw syscallError('sendmsg', Math.min(sent, -errno.EAGAIN), 'Cannot put data into a socket again', details);
}

const details = { code: 'RESTART_FAILED', phase: 'restore' } as const;

/** As much of it as there is room for: twice, if there was less room than the data had before. */
function attempt(fd: number, sending: Sending): number {
  const first = sendAs(fd, sending);
  if (first !== -errno.EAGAIN && first !== -errno.EMSGSIZE && (first < 0 || first >= sending.data.length)) return first;
  const size = getInt(fd, SOL_SOCKET, SO_SNDBUF) ?? 0;
  const lock = getInt(fd, SOL_SOCKET, SO_BUF_LOCK) ?? 0;
  const wanted = size + sending.data.length * 4 + 65536;
  if (setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, wanted) < 0) setOption(fd, SOL_SOCKET, SO_SNDBUF, wanted);
  const done = Math.max(0, first);
  const second = sendAs(fd, { ...sending, data: sending.data.subarray(done), ...(done > 0 && { fds: [] }) });
  if (setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, size >> 1) < 0) setOption(fd, SOL_SOCKET, SO_SNDBUF, size >> 1);
  setOption(fd, SOL_SOCKET, SO_BUF_LOCK, lock);
  return second < 0 ? second : done + second;
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
