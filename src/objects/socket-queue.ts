/** What waits in a socket to be received, with the descriptors that are under way in it. */
import { closeSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import type { Message } from '../linux/sockets.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';
import { socketWorldOf } from './socket-world.ts';

export interface QueuedMessage {
  readonly data: Uint8Array;
  /** The sender's address, as bytes of a sockaddr. */
  readonly from?: Uint8Array | undefined;
  /** Of whoever sent it, where the receiver asked for that (SO_PASSCRED). */
  readonly sender?: { readonly pid: number; readonly uid: number; readonly gid: number } | undefined;
  /** Open files that come along. */
  readonly rights: readonly number[];
}

export interface SocketQueue {
  readonly socket: number;
  readonly messages: readonly QueuedMessage[];
}

const id = s.uint(0xffff_ffff);
/** Bytes of one message in an image. A stream that holds more has it in several. */
const maxData = 4 << 20;

const record: RecordKind<SocketQueue> = defineKind<SocketQueue>({
  tag: 0x81,
  name: 'socket-queue',
  parents: ['files'],
  title: ({ socket, messages }) =>
    `#${socket}: ${messages.length} message(s), ${messages.reduce((sum, { data }) => sum + data.length, 0)} bytes`,
  schema: s.record({
    socket: s.objref(),
    messages: s.array(
      s.record({
        data: s.bytes(maxData),
        from: s.optional(s.hex(s.bytes(128))),
        sender: s.optional(s.record({ pid: id, uid: id, gid: id })),
        rights: s.array(s.objref(), 253),
      }),
      4096,
    ),
  }),
});

/** Records of a queue, after those of open files that are only in it. Closes the descriptors in the messages at the end. */
export function collectQueue(messages: readonly Message[], socket: number, collection: Collection): ImageNode[] {
  const before: ImageNode[] = [];
  const queued = messages.flatMap((message): QueuedMessage[] => {
    const rights = message.fds.flatMap((fd) => {
      collection.objects.keep({ [Symbol.dispose]: () => closeSync(fd) });
      const carried = collection.carryOwn?.(fd);
      before.push(...(carried?.nodes ?? []));
      return carried?.objref ?? [];
    });
    const { data, name, credentials } = message;
    const from = name.length > 2 ? name : undefined;
    return pieces(data).map((piece, index) => ({ data: piece, from, sender: credentials, rights: index === 0 ? rights : [] }));
  });
  const records: ImageNode[] = [];
  for (let at = 0; at < queued.length;) {
    let [end, size] = [at, 0];
    while (end < queued.length && end - at < 4096 && (end === at || size + (queued[end]?.data.length ?? 0) <= maxData))
      size += queued[end++]?.data.length ?? 0;
    records.push(node(record, { socket, messages: queued.slice(at, end) }));
    at = end;
  }
  return [...before, ...records];
}

function pieces(data: Uint8Array): Uint8Array[] {
  const found = [data.subarray(0, maxData)];
  for (let at = maxData; at < data.length; at += maxData) found.push(data.subarray(at, at + maxData));
  return found;
}

export const socketQueue: ObjectKind<SocketQueue> = {
  record,
  title: 'Data under way in a socket',
  carried: 'Bytes and datagrams that were not received yet, with their borders, senders and descriptors (SCM_RIGHTS).',
  refused: 'An empty datagram that an earlier checkpoint has seen and that is not the next one is lost.',
  restart: (value, rebuild) => socketWorldOf(rebuild.locals).addQueue(value.socket, value.messages),
};
