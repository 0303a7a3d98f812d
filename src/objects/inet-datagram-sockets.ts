/** Makes the UDP, ping and raw sockets of an image, then sends again what waited in them. */
import { closeSync } from 'node:fs';
import { syscallError } from '../linux/ffi.ts';
import { join } from '../linux/multicast.ts';
import { IPPROTO } from '../linux/sock-diag.ts';
import { AF } from '../linux/socket-address.ts';
import { MSG, openSocket, sendMessage, SOCK, withAddress } from '../linux/sockets.ts';
import { udpPacket } from '../linux/udp-packet.ts';
import { decodeInet, inetText, isWildcard, placeOf, sockaddrOf, unmapped, type InetAddress } from './inet-address.ts';
import type { InetDatagramValue } from './inet-datagram-socket.ts';
import { localCall } from './local-descriptors.ts';
import { restoreOptions } from './socket-options.ts';
import type { QueuedMessage } from './socket-queue.ts';
import type { SocketWorld } from './socket-world.ts';

interface DatagramEnd {
  readonly value: InetDatagramValue;
  readonly objref: number;
  readonly fd: number;
}

export function makeInetDatagramSockets(sockets: ReadonlyMap<number, InetDatagramValue>, world: SocketWorld): void {
  const ends = [...sockets].map(([objref, value]): DatagramEnd => {
    const fd = open(value, world.notes);
    world.locals.put(objref, fd);
    return { value, objref, fd };
  });
  for (const end of ends) {
    const lost = world.queueOf(end.objref).filter((message) => !deliver(end, message, ends)).length;
    if (lost > 0) world.notes.push(`${lost} datagram(s) that waited in a socket could not be put there again`);
  }
  for (const { value, fd } of ends) {
    for (const name of restoreOptions(fd, value.options, 'late'))
      world.notes.push(`A datagram socket could not be given its ${name}`);
    const F_SETFL = 4;
    localCall('set the flags of a socket', 'fcntl', [fd, F_SETFL, value.flags]);
  }
}

function open({ family, type, protocol, local, remote, memberships, options }: InetDatagramValue, notes: string[]): number {
  const fd = openSocket(family === 'inet' ? AF.INET : AF.INET6, type === 'raw' ? SOCK.RAW : SOCK.DGRAM, protocol);
  try {
    restoreOptions(fd, options, 'early');
    const place = type === 'raw' && local !== undefined ? { ...local, port: 0 } : local; // the port of a raw one is its protocol
    if (place !== undefined && !(type === 'raw' && isWildcard(place.address))) use('bind', fd, place, 'bind a socket to');
    for (const membership of memberships) {
      const result = join(fd, membership);
      if (result < 0) notes.push(`A socket could not join its multicast group on interface ${membership.interface}`);
    }
    if (remote !== undefined) use('connect', fd, type === 'raw' ? { ...remote, port: 0 } : remote, 'connect a socket to');
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function use(call: 'bind' | 'connect', fd: number, address: InetAddress, what: string): void {
  const result = withAddress(call, fd, sockaddrOf(address));
  if (result === 0) return;
  const hint = 'The address must exist on this machine, and no other program may have it.';
  throw syscallError(call, result, `Cannot ${what} ${inetText(address)} again`, {
    code: 'RESTART_FAILED',
    phase: 'restore',
    hint,
  });
}

/** From the socket of the tree that sent it, else from one that claims to be the sender. */
function deliver({ value, fd }: DatagramEnd, { data, from }: QueuedMessage, ends: readonly DatagramEnd[]): boolean {
  const sender = from === undefined ? undefined : decodeInet(from);
  if (value.type === 'raw' || value.protocol !== IPPROTO.UDP || value.local === undefined || sender === undefined) return false;
  const to = isWildcard(value.local.address) ? { ...value.local, address: sender.address } : value.local;
  const own = ends.find((end) => end.fd !== fd && end.value.local !== undefined && placeOf(end.value.local) === placeOf(sender));
  if (own !== undefined && own.value.protocol === IPPROTO.UDP && own.value.family === value.family) {
    if (sendMessage(own.fd, { data, to: sockaddrOf(to) }, MSG.NOSIGNAL | MSG.DONTWAIT) === data.length) return true;
  }
  return asIfFrom(sender, value.local, data);
}

function asIfFrom(sender: InetAddress, local: InetAddress, data: Uint8Array): boolean {
  const from = unmapped(sender.address);
  const loopback = from.length === 4 ? [127, 0, 0, 1] : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
  const to = isWildcard(local.address) ? Uint8Array.from(loopback) : unmapped(local.address);
  const IPPROTO_RAW = 255; // writes its own headers
  let fd;
  try {
    fd = openSocket(from.length === 4 ? AF.INET : AF.INET6, SOCK.RAW, IPPROTO_RAW);
  } catch {
    return false; // without CAP_NET_RAW
  }
  const packet = udpPacket({ from, fromPort: sender.port, to, toPort: local.port }, data);
  const sent = sendMessage(fd, { data: packet, to: sockaddrOf({ address: to, port: 0, scope: local.scope }) });
  closeSync(fd);
  return sent === packet.length;
}
