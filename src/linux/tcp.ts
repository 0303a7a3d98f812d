/**
 * The state of a TCP connection, and TCP_REPAIR, by which it is taken from one socket and given to another. Source: man 7 tcp,
 * net/ipv4/tcp.c (do_tcp_setsockopt, tcp_repair_*), Documentation of CRIU (TCP connection).
 */
import { syscallError } from './ffi.ts';
import { getInt, getIoctl, getOption, MSG, receiveMessage, sendMessage, setOption } from './sockets.ts';
import { viewOf } from './structs.ts';

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
const repair = { on: 1, off: 0, offQuietly: -1 } as const;
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

export interface TcpNegotiated {
  /** Bytes: the largest segment that the other end takes. */
  readonly segment: number;
  /** Shift counts of the windows, ours and theirs; undefined where windows are not scaled. */
  readonly scales?: readonly [send: number, receive: number] | undefined;
  readonly selective: boolean;
  readonly timestamps: boolean;
  /** Our clock of timestamps. */
  readonly timestamp: number;
  /** struct tcp_repair_window */
  readonly window: Uint8Array;
}

/** Of a socket under repair. */
export function readNegotiated(fd: number): TcpNegotiated {
  const info = getOption(fd, SOL_TCP, TCP.INFO, 104);
  const window = getOption(fd, SOL_TCP, TCP.REPAIR_WINDOW, 20);
  if (typeof info === 'number' || typeof window === 'number')
    throw syscallError('getsockopt', -1, 'Cannot read the state of a connection');
  const [options = 0, scales = 0] = [info[5], info[6]];
  const TCPI_OPT = { TIMESTAMPS: 1, SACK: 2, WSCALE: 4 };
  return {
    segment: getInt(fd, SOL_TCP, TCP.MAXSEG) ?? viewOf(info).getUint32(16, true),
    ...((options & TCPI_OPT.WSCALE) !== 0 && { scales: [scales & 15, scales >> 4] as const }),
    selective: (options & TCPI_OPT.SACK) !== 0,
    timestamps: (options & TCPI_OPT.TIMESTAMPS) !== 0,
    timestamp: (getInt(fd, SOL_TCP, TCP.TIMESTAMP) ?? 0) >>> 0,
    window,
  };
}

/** Before connect, on a fresh socket under repair: where the queue begins. */
export function setSequence(fd: number, which: keyof typeof queues, sequence: number): void {
  must(setOption(fd, SOL_TCP, TCP.REPAIR_QUEUE, queues[which]), 'choose a queue of a connection');
  must(setOption(fd, SOL_TCP, TCP.QUEUE_SEQ, sequence | 0), 'set a sequence number of a connection');
}

/** After connect: puts data into a queue. Minus the errno, or how much was taken. */
export function fillQueue(fd: number, which: keyof typeof queues, data: Uint8Array): number {
  must(setOption(fd, SOL_TCP, TCP.REPAIR_QUEUE, queues[which]), 'choose a queue of a connection');
  const piece = 16384;
  for (let at = 0; at < data.length;) {
    const sent = sendMessage(fd, { data: data.subarray(at, at + piece) }, MSG.NOSIGNAL | MSG.DONTWAIT);
    if (sent <= 0) return sent;
    at += sent;
  }
  return data.length;
}

/** After connect: what both ends agreed upon. */
export function setNegotiated(fd: number, { segment, scales, selective, timestamps, timestamp }: TcpNegotiated): void {
  const TCPOPT = { MSS: 2, WINDOW: 3, SACK_PERM: 4, TIMESTAMP: 8 };
  const pairs: [number, number][] = [[TCPOPT.MSS, segment]];
  if (scales !== undefined) pairs.push([TCPOPT.WINDOW, scales[0] | (scales[1] << 16)]);
  if (selective) pairs.push([TCPOPT.SACK_PERM, 0]);
  if (timestamps) pairs.push([TCPOPT.TIMESTAMP, 0]);
  must(
    setOption(fd, SOL_TCP, TCP.REPAIR_OPTIONS, new Uint8Array(Uint32Array.from(pairs.flat()).buffer)),
    'set the options of a connection',
  );
  if (timestamps) must(setOption(fd, SOL_TCP, TCP.TIMESTAMP, timestamp | 0), 'set the clock of a connection');
}

/** When the queues are filled: what each end has said of its room. */
export function setWindows(fd: number, { window }: TcpNegotiated): void {
  must(setOption(fd, SOL_TCP, TCP.REPAIR_WINDOW, window), 'set the windows of a connection');
}

/** Ends the repair and asks the other end for an answer, so that both go on at once. */
export function repairDone(fd: number): void {
  must(setOption(fd, SOL_TCP, TCP.REPAIR, repair.off), 'end the repair of a connection');
}

/** Bytes that were not sent at all. */
export function unsent(fd: number): number {
  const SIOCOUTQNSD = 0x894b;
  return Math.max(0, getIoctl(fd, SIOCOUTQNSD));
}
