/** UDP, ping and raw sockets of the Internet families. Source: man 7 udp, icmp, raw, ip, ipv6. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readGroups, readMemberships, type Membership } from '../linux/multicast.ts';
import { POLLERR, POLLIN, pollNow } from '../linux/poll-now.ts';
import { IPPROTO } from '../linux/sock-diag.ts';
import { AF } from '../linux/socket-address.ts';
import { hasUnreadableFilter, type OptionTable } from '../linux/socket-options.ts';
import { peekDatagrams } from '../linux/socket-queue.ts';
import { getIoctl, SOCK } from '../linux/sockets.ts';
import { inetAddressOf, inetAddressSchema, inetText, isUnbound, type InetAddress } from './inet-address.ts';
import { makeInetDatagramSockets } from './inet-datagram-sockets.ts';
import { node, type ObjectKind } from './object.ts';
import { fdBlocker, type OpenFileKind } from './open-file.ts';
import { openStream } from './open-stream.ts';
import { collectOptions, filterBlocker, optionsSchema, type StoredOption } from './socket-options.ts';
import { collectQueue } from './socket-queue.ts';
import { snapshotOf, sortOf, withDuplicate, type Sort } from './socket-snapshot.ts';
import { socketWorldOf } from './socket-world.ts';

export interface InetDatagramValue {
  readonly family: 'inet' | 'inet6';
  readonly type: 'dgram' | 'raw';
  /** IPPROTO_* */
  readonly protocol: number;
  readonly flags: number;
  readonly local?: InetAddress | undefined;
  readonly remote?: InetAddress | undefined;
  readonly memberships: readonly Membership[];
  readonly shutdown: number;
  readonly options: readonly StoredOption[];
}

const address = s.hex(s.bytes(16));

const record: RecordKind<InetDatagramValue> = defineKind<InetDatagramValue>({
  tag: 0x83,
  name: 'inet-datagram-socket',
  parents: ['files'],
  title: ({ type, protocol, local, remote }) =>
    [protocol === IPPROTO.UDP ? 'udp' : `${type} ${protocol}`, local && inetText(local), remote && `to ${inetText(remote)}`]
      .filter((part) => part !== undefined)
      .join(' '),
  schema: s.record({
    family: s.oneOf('inet', 'inet6'),
    type: s.oneOf('dgram', 'raw'),
    protocol: s.uint(255),
    flags: s.hex(s.uint(0xffff_ffff)),
    local: s.optional(inetAddressSchema),
    remote: s.optional(inetAddressSchema),
    memberships: s.array(
      s.record({ interface: s.uint(0x7fff_ffff), group: address, mode: s.uint(1), sources: s.array(address, 64) }),
      256,
    ),
    shutdown: s.uint(3),
    options: optionsSchema,
  }),
});

const closeOnExec = 0o2000000;
const SIOCOUTQ = 0x5411;

function isOurs({ family, type }: Sort): boolean {
  return (family === AF.INET || family === AF.INET6) && (type === SOCK.DGRAM || type === SOCK.RAW);
}

function optionTables({ family, type, protocol }: Sort): OptionTable[] {
  const own: OptionTable[] = family === AF.INET6 ? ['socket', 'ip', 'ipv6'] : ['socket', 'ip'];
  if (protocol === IPPROTO.UDP && type === SOCK.DGRAM) own.push('udp');
  if (type === SOCK.RAW) own.push(family === AF.INET6 ? 'raw6' : 'raw');
  return own;
}

export const inetDatagramSocket: ObjectKind<InetDatagramValue> & OpenFileKind = {
  record,
  title: 'UDP, ping or raw socket',
  carried:
    'IPv4 and IPv6: addresses, connected or not, datagrams that wait (as from their senders: from a socket of the tree, else with CAP_NET_RAW), multicast memberships with their sources, options.',
  refused: 'A datagram that is being put together (UDP_CORK, MSG_MORE). What waits in a raw or ping socket is lost, with a note.',

  recognise(file, table, collection) {
    const sort = sortOf(collection, file);
    return sort !== undefined && isOurs(sort) && !openStream.recognise(file, table, collection);
  },

  collect: (file, objref, _table, collection) =>
    withDuplicate(collection, file, (fd) => {
      const sort = sortOf(collection, file);
      if (sort === undefined) throw new TypeError('not recognised');
      if (getIoctl(fd, SIOCOUTQ) > 0)
        return fdBlocker(file, 'a datagram is being put together or sent', 'Let the program finish it (UDP_CORK, MSG_MORE)');
      if ((pollNow(fd, POLLIN) & POLLERR) !== 0)
        // a look at the queue would take it away (net/core/datagram.c)
        return fdBlocker(file, 'an error waits to be told to the program', 'Let the program use the socket first');
      if (hasUnreadableFilter(fd)) return filterBlocker(file);
      const local = inetAddressOf('getsockname', fd);
      const remote = inetAddressOf('getpeername', fd);
      const groups = [...readGroups(AF.INET), ...(sort.family === AF.INET6 ? readGroups(AF.INET6) : [])];
      const options = optionTables(sort);
      const value: InetDatagramValue = {
        family: sort.family === AF.INET6 ? 'inet6' : 'inet',
        type: sort.type === SOCK.RAW ? 'raw' : 'dgram',
        protocol: sort.protocol,
        flags: file.info.flags & ~closeOnExec,
        ...(local !== undefined && !isUnbound(local) && { local }),
        ...(remote !== undefined && { remote }),
        memberships: readMemberships(fd, groups),
        shutdown: 0,
        options: collectOptions(fd, { ...sort, options }),
      };
      const messages = peekDatagrams(fd, snapshotOf(collection.objects).guard);
      return [node(record, value, { objref }), ...collectQueue(messages, objref, collection)];
    }),

  restart(value, rebuild, { objref }) {
    socketWorldOf(rebuild.locals, rebuild.notes).add('inet datagram', objref, value, makeInetDatagramSockets);
  },
};
