/** Fills the queues of unix sockets under restart: each message is sent again from where it came. Source: man 7 unix. */
import { closeSync } from 'node:fs';
import { AF, decodeAddress, encodeAddress } from '../linux/socket-address.ts';
import { openSocket, SOCK, type Sending } from '../linux/sockets.ts';
import { sendAll } from './socket-send.ts';
import { bindName, within } from './unix-names.ts';
import type { QueuedMessage } from './socket-queue.ts';
import type { SocketWorld } from './socket-world.ts';
import type { UnixEnd } from './unix-sockets.ts';

export function fillQueues(ends: readonly UnixEnd[], world: SocketWorld): void {
  for (const end of ends) {
    for (const message of world.queueOf(end.objref)) {
      const fds = message.rights.map((objref) => world.locals.get(objref));
      const sending = { data: message.data, fds, credentials: message.sender };
      if (end.other >= 0 && (end.value.type !== 'dgram' || message.from === undefined)) sendAll(end.other, undefined, sending);
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
  const deliver = (fd: number): void =>
    within(end.value.file?.directory ?? '/', () => sendAll(fd, undefined, { ...sending, to }));
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
