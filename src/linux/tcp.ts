/**
 * The state of a TCP connection, and TCP_REPAIR, by which it is taken from one socket and given to another. Source: man 7 tcp,
 * net/ipv4/tcp.c (do_tcp_setsockopt, tcp_repair_*), Documentation of CRIU (TCP connection).
 */
import { syscallError } from './ffi.ts';
import { getInt, getIoctl, getOption, MSG, receiveMessage, setOption } from './sockets.ts';

const SOL_TCP = 6;
export const TCP = {
  MAXSEG: 2,
  INFO: 11,
  QUICKACK: 12,
  REPAIR: 19,
  REPAIR_QUEUE: 20,
  QUEUE_SEQ: 21,
  REPAIR_OPTIONS: 22,
  TIMESTAMP: 24,
  REPAIR_WINDOW: 29,
  ULP: 31,
} as const;
const queues = { receive: 1, send: 2 } as const;
const repair = { on: 1, offQuietly: -1 } as const;
const SIOCOUTQ = 0x5411;

/** TCP_* of include/net/tcp_states.h; 0 for a socket of another protocol. */
export function tcpState(fd: number): number {
  const info = getOption(fd, SOL_TCP, TCP.INFO, 8);
  return typeof info === 'number' ? 0 : (info[0] ?? 0);
}

/** Bytes that the other end has not acknowledged. */
export function unacknowledged(fd: number): number {
  return Math.max(0, getIoctl(fd, SIOCOUTQ));
}

/** Sends an acknowledgement that is being delayed; the socket delays later ones as before (even numbers do that). */
export function acknowledgeNow(fd: number): void {
  setOption(fd, SOL_TCP, TCP.QUICKACK, 2);
}

/** What restores a socket after {@link repairOn}: end of repair without a probe, and SO_REUSEADDR, which repair clears. */
export function repairUndo(fd: number): { level: number; option: number; value: number }[] {
  const SO_REUSEADDR = 2;
  return [
    { level: SOL_TCP, option: TCP.REPAIR, value: repair.offQuietly },
    { level: 1, option: SO_REUSEADDR, value: getInt(fd, 1, SO_REUSEADDR) ?? 0 },
  ];
}

/** Minus the errno: EPERM without CAP_NET_ADMIN over the network namespace. */
export function repairOn(fd: number): number {
  return setOption(fd, SOL_TCP, TCP.REPAIR, repair.on);
}

export function repairOff(fd: number): void {
  must(setOption(fd, SOL_TCP, TCP.REPAIR, repair.offQuietly), 'end the repair of a connection');
}

function must(result: number, action: string): void {
  if (result < 0) throw syscallError('setsockopt', result, `Cannot ${action}`);
}

export interface TcpQueue {
  /** Sequence number of the byte behind the last one. */
  readonly sequence: number;
  readonly data: Uint8Array;
}

/** Of a socket under repair. The queue for sending begins with the first byte that is not acknowledged. */
export function readQueue(fd: number, which: keyof typeof queues): TcpQueue {
  must(setOption(fd, SOL_TCP, TCP.REPAIR_QUEUE, queues[which]), 'look into the queues of a connection');
  const sequence = (getInt(fd, SOL_TCP, TCP.QUEUE_SEQ) ?? 0) >>> 0;
  const SIOCINQ = 0x541b;
  const length = getIoctl(fd, which === 'send' ? SIOCOUTQ : SIOCINQ);
  const message = length > 0 ? receiveMessage(fd, MSG.PEEK | MSG.DONTWAIT, length) : undefined;
  if (typeof message === 'number') throw syscallError('recvmsg', message, 'Cannot look into the queue of a connection');
  const data = message?.data ?? new Uint8Array(0);
  const end = which === 'send' && length > data.length ? 1 : 0; // a FIN counts as a byte
  return { sequence: (sequence - end) >>> 0, data };
}
