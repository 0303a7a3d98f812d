/**
 * The options of sockets that are settings: what getsockopt gives, setsockopt takes. Options that only tell something
 * (SO_ERROR, TCP_INFO…), and those that cannot be read, are not here. Source: man 7 socket, ip, ipv6, tcp, udp, unix,
 * netlink, packet; net/core/sock.c.
 */
import { CallTable } from './call-table.ts';
import { LocalMemory } from './ffi.ts';
import { attachFilter, readFilter } from './socket-filter.ts';
import { getInt, getOption, setOption } from './sockets.ts';

const SOL = { SOCKET: 1, IP: 0, IPV6: 41, TCP: 6, UDP: 17, ICMPV6: 58, RAW: 255, NETLINK: 270, PACKET: 263 } as const;

/** Which sockets have the options of a table. */
export type OptionTable = 'socket' | 'unix' | 'ip' | 'ipv6' | 'tcp' | 'udp' | 'raw' | 'raw6' | 'netlink' | 'packet';

export interface SocketOption {
  readonly name: string;
  readonly level: number;
  readonly option: number;
  /** Bytes at most; 4 for an int. */
  readonly size: number;
}

type Numbers = Readonly<Record<string, number>>;

function table(prefix: string, level: number, ints: Numbers, sized: Readonly<Record<string, readonly [number, number]>> = {}) {
  return [
    ...Object.entries(ints).map(([name, option]): SocketOption => ({ name: prefix + name, level, option, size: 4 })),
    ...Object.entries(sized).map(([name, [option, size]]): SocketOption => ({ name: prefix + name, level, option, size })),
  ];
}

const socket = table(
  'SO_',
  SOL.SOCKET,
  {
    DEBUG: 1,
    REUSEADDR: 2,
    DONTROUTE: 5,
    BROADCAST: 6,
    SNDBUF: 7,
    RCVBUF: 8,
    KEEPALIVE: 9,
    OOBINLINE: 10,
    NO_CHECK: 11,
    PRIORITY: 12,
    REUSEPORT: 15,
    RCVLOWAT: 18,
    TIMESTAMP: 29,
    TIMESTAMPNS: 35,
    MARK: 36,
    RXQ_OVFL: 40,
    WIFI_STATUS: 41,
    PEEK_OFF: 42,
    NOFCS: 43,
    SELECT_ERR_QUEUE: 45,
    BUSY_POLL: 46,
    ZEROCOPY: 60,
    TIMESTAMP_NEW: 63,
    TIMESTAMPNS_NEW: 64,
    PREFER_BUSY_POLL: 69,
    BUF_LOCK: 72,
    RCVMARK: 75,
    RCVPRIORITY: 82,
  },
  { LINGER: [13, 8], RCVTIMEO: [20, 16], SNDTIMEO: [21, 16], BINDTODEVICE: [25, 16], TIMESTAMPING: [37, 8], TXTIME: [61, 8] },
);

const tables: Readonly<Record<OptionTable, readonly SocketOption[]>> = {
  socket,
  unix: table('SO_', SOL.SOCKET, { PASSCRED: 16, PASSSEC: 34, PASSPIDFD: 76, PASSRIGHTS: 83 }),
  ip: table(
    'IP_',
    SOL.IP,
    {
      TOS: 1,
      TTL: 2,
      HDRINCL: 3,
      RECVOPTS: 6,
      RETOPTS: 7,
      PKTINFO: 8,
      MTU_DISCOVER: 10,
      RECVERR: 11,
      RECVTTL: 12,
      RECVTOS: 13,
      FREEBIND: 15,
      PASSSEC: 18,
      TRANSPARENT: 19,
      RECVORIGDSTADDR: 20,
      MINTTL: 21,
      NODEFRAG: 22,
      CHECKSUM: 23,
      BIND_ADDRESS_NO_PORT: 24,
      RECVFRAGSIZE: 25,
      RECVERR_RFC4884: 26,
      MULTICAST_TTL: 33,
      MULTICAST_LOOP: 34,
      MULTICAST_ALL: 49,
      UNICAST_IF: 50,
      LOCAL_PORT_RANGE: 51,
    },
    { OPTIONS: [4, 40], MULTICAST_IF: [32, 4] },
  ),
  ipv6: table('IPV6_', SOL.IPV6, {
    FLOWINFO: 11,
    UNICAST_HOPS: 16,
    MULTICAST_IF: 17,
    MULTICAST_HOPS: 18,
    MULTICAST_LOOP: 19,
    MTU_DISCOVER: 23,
    RECVERR: 25,
    V6ONLY: 26,
    MULTICAST_ALL: 29,
    RECVERR_RFC4884: 31,
    FLOWINFO_SEND: 33,
    RECVPKTINFO: 49,
    RECVHOPLIMIT: 51,
    RECVHOPOPTS: 53,
    RECVRTHDR: 56,
    RECVDSTOPTS: 58,
    RECVPATHMTU: 60,
    DONTFRAG: 62,
    RECVTCLASS: 66,
    TCLASS: 67,
    AUTOFLOWLABEL: 70,
    ADDR_PREFERENCES: 72,
    MINHOPCOUNT: 73,
    RECVORIGDSTADDR: 74,
    TRANSPARENT: 75,
    UNICAST_IF: 76,
    RECVFRAGSIZE: 77,
    FREEBIND: 78,
  }),
  tcp: table(
    'TCP_',
    SOL.TCP,
    {
      NODELAY: 1,
      CORK: 3,
      KEEPIDLE: 4,
      KEEPINTVL: 5,
      KEEPCNT: 6,
      SYNCNT: 7,
      LINGER2: 8,
      DEFER_ACCEPT: 9,
      THIN_LINEAR_TIMEOUTS: 16,
      USER_TIMEOUT: 18,
      FASTOPEN: 23,
      NOTSENT_LOWAT: 25,
      SAVE_SYN: 27,
      FASTOPEN_CONNECT: 30,
      FASTOPEN_NO_COOKIE: 34,
      INQ: 36,
      TX_DELAY: 37,
    },
    { CONGESTION: [13, 16] },
  ),
  udp: table('UDP_', SOL.UDP, { CORK: 1, NO_CHECK6_TX: 101, NO_CHECK6_RX: 102, SEGMENT: 103, GRO: 104 }),
  raw: table('RAW_', SOL.RAW, { ICMP_FILTER: 1 }),
  raw6: table('RAW6_', SOL.RAW, { CHECKSUM: 7 }).concat(table('ICMPV6_', SOL.ICMPV6, {}, { FILTER: [1, 32] })),
  netlink: table('NETLINK_', SOL.NETLINK, {
    PKTINFO: 3,
    BROADCAST_ERROR: 4,
    NO_ENOBUFS: 5,
    LISTEN_ALL_NSID: 8,
    CAP_ACK: 10,
    EXT_ACK: 11,
    GET_STRICT_CHK: 12,
  }),
  packet: table('PACKET_', SOL.PACKET, {
    AUXDATA: 8,
    ORIGDEV: 9,
    VERSION: 10,
    RESERVE: 12,
    LOSS: 14,
    VNET_HDR: 15,
    TIMESTAMP: 17,
    QDISC_BYPASS: 20,
    IGNORE_OUTGOING: 23,
  }),
};

const byName = new Map(
  Object.values(tables)
    .flat()
    .map((entry) => [entry.name, entry]),
);

const filterName = 'SO_ATTACH_FILTER';

export const optionNames: readonly string[] = [...byName.keys(), filterName];

export interface OptionValue {
  readonly name: string;
  readonly value: number | Uint8Array;
}

/** Reads all options of tables at once. */
export class OptionReader {
  readonly #options: readonly SocketOption[];
  readonly #calls: CallTable;
  readonly #memory: LocalMemory;

  /** `code`: the architecture's, for a CallTable. */
  constructor(which: readonly OptionTable[], code: Uint8Array) {
    this.#options = which.flatMap((name) => tables[name]);
    this.#memory = LocalMemory.allocate(this.#options.length * slot);
    this.#calls = new CallTable(code, this.#options.length);
    for (const [index, { level, option }] of this.#options.entries()) {
      const place = this.#memory.address + BigInt(index * slot);
      this.#calls.add('getsockopt', [0, level, option, place + 8n, place]);
    }
  }

  /** The values of all options that the socket has. */
  read(fd: number): OptionValue[] {
    const { view, bytes } = this.#memory;
    bytes.fill(0);
    for (const [index, { size }] of this.#options.entries()) view.setUint32(index * slot, size, true);
    this.#calls.runWith(fd);
    const found: OptionValue[] = [];
    for (const [index, { name, size }] of this.#options.entries()) {
      if (this.#calls.result(index) < 0) continue;
      const at = index * slot;
      const isInt = size === 4 && name !== 'IP_MULTICAST_IF';
      const value = isInt ? view.getInt32(at + 8, true) : bytes.slice(at + 8, at + 8 + Math.min(size, view.getUint32(at, true)));
      found.push({ name, value });
    }
    const filter = readFilter(fd);
    if (filter !== undefined && filter.length > 0) found.push({ name: filterName, value: filter });
    return found;
  }
}

/** Bytes for the length and the value of an option. */
const slot = 64;

/** A filter that is a program of eBPF cannot be read back. */
export function hasUnreadableFilter(fd: number): boolean {
  return readFilter(fd) === undefined;
}

function readOption(fd: number, { name, level, option, size }: SocketOption): OptionValue | undefined {
  const value = size === 4 && name !== 'IP_MULTICAST_IF' ? getInt(fd, level, option) : getOption(fd, level, option, size);
  if (value === undefined || (typeof value === 'number' && size !== 4)) return undefined;
  return { name, value };
}

/** Names of options that have another value than wanted, and could not be given it. */
export function writeOptions(fd: number, wanted: readonly OptionValue[]): string[] {
  return wanted.flatMap(({ name, value }) => (writeOption(fd, name, value) ? [] : [name]));
}

function writeOption(fd: number, name: string, value: number | Uint8Array): boolean {
  if (name === filterName) return typeof value !== 'number' && attachFilter(fd, value) === 0;
  const option = byName.get(name);
  if (option === undefined) return false;
  const isSame = (): boolean => {
    const found = readOption(fd, option)?.value;
    if (typeof found === 'number' || found === undefined) return found === value;
    return typeof value !== 'number' && Buffer.compare(found, value) === 0;
  };
  if (isSame()) return true;
  const force = forced[name];
  // what is read of the size of a buffer is twice what was set (man 7 socket)
  const half = force === undefined || typeof value !== 'number' ? value : value >> 1;
  if (force !== undefined && setOption(fd, SOL.SOCKET, force, half) === 0) return isSame();
  return setOption(fd, option.level, option.option, half) === 0 && isSame();
}

/** SO_SNDBUFFORCE and SO_RCVBUFFORCE go beyond the limits of net.core.*mem_max; they need CAP_NET_ADMIN. */
const forced: Readonly<Record<string, number>> = { SO_SNDBUF: 32, SO_RCVBUF: 33 };
