/**
 * What a connection within the tree still has to give to one of its ends: what waits there, and what the other end has sent
 * and is kept back there, because this one's window is full. The tree stands still, but the network does not: so an
 * acknowledgement that is being delayed is sent at once, and only when something is missing then, the other end is put under
 * repair, for as long as it takes to read its queue.
 */
import { errno } from '../linux/errno.ts';
import { syscallError } from '../linux/ffi.ts';
import type { InetSocket } from '../linux/sock-diag.ts';
import { peekStream } from '../linux/socket-queue.ts';
import { closeSync } from 'node:fs';
import type { Message } from '../linux/sockets.ts';
import { acknowledgeNow, readQueue, repairOff, repairOn, repairUndo, unacknowledged } from '../linux/tcp.ts';
import type { SocketSnapshot } from './socket-snapshot.ts';

/** The messages, or what stands in the way. */
export function undeliveredTo(
  fd: number,
  other: InetSocket,
  snapshot: SocketSnapshot,
): { readonly messages: Message[] } | string {
  const sender = snapshot.duplicateOf(other.ino);
  if (sender === undefined) return 'its other end cannot be looked at';
  try {
    acknowledgeNow(fd);
    if (unacknowledged(sender) === 0) return { messages: peekStream(fd, snapshot.guard) };
    return underRepair(fd, sender, snapshot);
  } finally {
    closeSync(sender);
  }
}

/** Both ends at one moment: sequence numbers tell how much of the sender's queue has not arrived. */
function underRepair(fd: number, sender: number, snapshot: SocketSnapshot): { messages: Message[] } | string {
  const guard = snapshot.guard();
  const refused = 'it holds data that has not arrived yet, and looking at it is not permitted';
  return guard.during(sender, repairUndo(sender), () => {
    const result = repairOn(sender);
    if (result === -errno.EPERM) return refused;
    if (result < 0) throw syscallError('setsockopt', result, 'Cannot look into a connection');
    const sent = readQueue(sender, 'send'); // nothing leaves it any more
    repairOff(sender);
    return guard.during(fd, repairUndo(fd), () => {
      if (repairOn(fd) < 0) return refused;
      const { data, arrived } = readReceived(fd);
      repairOff(fd);
      const messages = data.length === 0 ? [] : [plain(data)];
      const missing = (sent.sequence - arrived) | 0;
      if (missing <= 0) return { messages };
      const late = sent.data.subarray(Math.max(0, sent.data.length - missing));
      return { messages: [...messages, plain(late)] };
    });
  });
}

/** What waits in a socket under repair, and the number behind it. What was on its way may arrive meanwhile: then once more, until number and data belong together. */
export function readReceived(fd: number): { data: Uint8Array; arrived: number } {
  for (;;) {
    const before = readQueue(fd, 'receive');
    const { sequence: arrived, data } = readQueue(fd, 'receive');
    if (before.sequence === arrived && before.data.length === data.length) return { data, arrived };
  }
}

export function plain(data: Uint8Array): Message {
  return { data, name: new Uint8Array(0), fds: [], credentials: undefined, flags: 0 };
}
