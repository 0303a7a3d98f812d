/**
 * What waits in a socket to be received, read without taking it out. Of a stream, borders matter where descriptors or
 * credentials came along: one call to recvmsg never gives those of two messages (net/unix/af_unix.c:
 * unix_stream_read_generic). Of datagrams, all of them: SO_PEEK_OFF counts bytes across their borders (man 7 socket).
 */
import { closeSync } from 'node:fs';
import { errno } from './errno.ts';
import { LocalMemory, mustSyscall, syscall, syscallError } from './ffi.ts';
import type { Guard } from './guard.ts';
import { getInt, getIoctl, MSG, receiveMessage, setOption, type Message } from './sockets.ts';

const SOL_SOCKET = 1;
const SO_PEEK_OFF = 42;
const SIOCINQ = 0x541b;
const datagramRoom = 1 << 18;

/**
 * The messages that wait in a stream socket, each with the descriptors that came along, which are ours to close. `guard`
 * makes the one that restores SO_PEEK_OFF, should we die while it is needed.
 */
export function peekStream(fd: number, guard: () => Guard): Message[] {
  const total = getIoctl(fd, SIOCINQ);
  if (total < 0) throw syscallError('ioctl', total, 'Cannot see how much waits in a socket');
  if (total === 0) return [];
  const own = getInt(fd, SOL_SOCKET, SO_PEEK_OFF) ?? -1;
  if (own < 0) {
    const whole = peek(fd, total);
    if (whole !== undefined && whole.fds.length === 0 && whole.data.length === total) return [whole];
    release(whole);
  }
  return guard().during(fd, [{ level: SOL_SOCKET, option: SO_PEEK_OFF, value: own }], () => {
    const found: Message[] = [];
    for (let at = 0; at < total;) {
      const message = peekAt(fd, at, total - at);
      if (message === undefined || message.data.length === 0) break;
      found.push(...(message.fds.length === 0 ? [message] : splitAtDescriptors(fd, at, message)));
      at += message.data.length;
    }
    return found;
  });
}

/**
 * Bytes without descriptors may stand before those with. The kernel copies message by message, and ends before the one that
 * does not fit into the memory that there is: one byte too little gives the border.
 */
function splitAtDescriptors(fd: number, at: number, message: Message): Message[] {
  const border = borderWithin(fd, at, message.data.length - 1);
  if (border <= 0) return [message];
  const [before, rest] = [message.data.subarray(0, border), message.data.subarray(border)];
  return [
    { ...message, fds: [], data: before },
    { ...message, data: rest },
  ];
}

function borderWithin(fd: number, at: number, room: number): number {
  if (room === 0) return 0;
  const page = 4096;
  const size = ((room + page - 1) & -page) + page;
  const memory = LocalMemory.allocate(size);
  try {
    const [PROT_NONE, guardAt] = [0, BigInt(size - page)];
    mustSyscall('mprotect', 'Cannot make a guard page', memory.address + guardAt, page, PROT_NONE);
    setOption(fd, SOL_SOCKET, SO_PEEK_OFF, at);
    const from = memory.address + guardAt - BigInt(room);
    return syscall('recvfrom', fd, from, room + page, MSG.PEEK | MSG.DONTWAIT, 0, 0);
  } finally {
    memory.free();
  }
}

/**
 * The datagrams that wait. An empty one that an earlier look has seen is only found again at the head of the queue: the
 * kernel marks it and passes it over (net/core/datagram.c: __skb_try_recv_from_queue).
 */
export function peekDatagrams(fd: number, guard: () => Guard): Message[] {
  const own = getInt(fd, SOL_SOCKET, SO_PEEK_OFF) ?? -1;
  const first = own < 0 ? peek(fd, datagramRoom) : undefined;
  if (own < 0 && first === undefined) return [];
  const found = first === undefined ? [] : [first];
  return guard().during(fd, [{ level: SOL_SOCKET, option: SO_PEEK_OFF, value: own }], () => {
    for (let at = first?.data.length ?? 0; ;) {
      const message = peekAt(fd, at, datagramRoom);
      if (message === undefined || isEnd(found)) return found;
      found.push(message);
      at += message.data.length;
    }
  });
}

/**
 * The end of a seqpacket connection looks like an empty message that can be taken again and again. To the program too: so
 * empty messages at the end are left out, when there are more than any queue holds.
 */
function isEnd(found: Message[]): boolean {
  const queueLimit = 1024;
  if (found.length <= queueLimit || found.slice(-queueLimit).some(({ data }) => data.length > 0)) return false;
  while (found.at(-1)?.data.length === 0) found.pop();
  return true;
}

function peekAt(fd: number, at: number, size: number): Message | undefined {
  const result = setOption(fd, SOL_SOCKET, SO_PEEK_OFF, at);
  if (result < 0) throw syscallError('setsockopt', result, 'Cannot look into the queue of a socket');
  const message = peek(fd, size);
  if (message === undefined || (message.flags & MSG.TRUNC) === 0) return message;
  release(message);
  setOption(fd, SOL_SOCKET, SO_PEEK_OFF, at);
  return peek(fd, size * 16);
}

/** undefined when nothing is there. */
function peek(fd: number, size: number): Message | undefined {
  const message = receiveMessage(fd, MSG.PEEK | MSG.DONTWAIT, size);
  if (typeof message !== 'number') return message;
  if (message === -errno.EAGAIN || message === -errno.ENOTCONN || message === -errno.EINVAL) return undefined;
  throw syscallError('recvmsg', message, 'Cannot look into the queue of a socket');
}

function release(message: Message | undefined): void {
  message?.fds.forEach((fd) => closeSync(fd));
}
