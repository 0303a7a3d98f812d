/** TCP sockets. Source: man 7 tcp, man 7 sock_diag (inet), net/ipv4/tcp.c. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { POLLERR, POLLIN, pollNow } from '../linux/poll-now.ts';
import { IPPROTO, state, type InetSocket } from '../linux/sock-diag.ts';
import { AF } from '../linux/socket-address.ts';
import { hasUnreadableFilter } from '../linux/socket-options.ts';
import { peekStream } from '../linux/socket-queue.ts';
import { getInt, getOption, SOCK } from '../linux/sockets.ts';
import { tcpState } from '../linux/tcp.ts';
import {
  inetAddressOf,
  inetAddressSchema,
  inetText,
  isLoopback,
  isUnbound,
  isWildcard,
  type InetAddress,
} from './inet-address.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';
import { fdBlocker, type OpenFile, type OpenFileKind } from './open-file.ts';
import { openStream } from './open-stream.ts';
import { collectOptions, filterBlocker, optionsSchema, type StoredOption } from './socket-options.ts';
import { collectQueue } from './socket-queue.ts';
import { snapshotOf, sortOf, withDuplicate, type SocketSnapshot, type Sort } from './socket-snapshot.ts';
import { socketWorldOf } from './socket-world.ts';
import { outsideSchema, takeOutside, type OutsideState } from './tcp-outside.ts';
import { plain, undeliveredTo } from './tcp-undelivered.ts';
import { makeTcpSockets } from './tcp-sockets.ts';

export interface TcpSocketValue {
  readonly family: 'inet' | 'inet6';
  readonly flags: number;
  readonly ino: number;
  /** `dead`: it was connected, and is no more. */
  readonly state: 'idle' | 'listening' | 'connecting' | 'connected' | 'dead';
  readonly local?: InetAddress | undefined;
  readonly remote?: InetAddress | undefined;
  /** Inode of the other end in the image; without it the other end is closed, or the connection waits to be accepted. */
  readonly peer?: number | undefined;
  readonly backlog?: number | undefined;
  /** Of a listening socket: whose connections wait to be accepted. */
  readonly waiting?: readonly number[] | undefined;
  /** The other end is outside the tree. */
  readonly outside?: OutsideState | undefined;
  /** Of a dead one: ECONNRESET or its like is still to be told. */
  readonly error?: boolean | undefined;
  /** Bit 0: nothing will be received, bit 1: nothing can be sent. */
  readonly shutdown: number;
  readonly options: readonly StoredOption[];
}

const id = s.uint(0xffff_ffff);

const record: RecordKind<TcpSocketValue> = defineKind<TcpSocketValue>({
  tag: 0x82,
  name: 'tcp-socket',
  parents: ['files'],
  title: ({ state: now, local, remote }) =>
    [now, local && inetText(local), remote && `to ${inetText(remote)}`].filter((part) => part !== undefined).join(' '),
  schema: s.record({
    family: s.oneOf('inet', 'inet6'),
    flags: s.hex(id),
    ino: id,
    state: s.oneOf('idle', 'listening', 'connecting', 'connected', 'dead'),
    local: s.optional(inetAddressSchema),
    remote: s.optional(inetAddressSchema),
    peer: s.optional(id),
    backlog: s.optional(id),
    waiting: s.optional(s.array(id, 65536)),
    outside: s.optional(outsideSchema),
    error: s.optional(s.bool()),
    shutdown: s.uint(3),
    options: optionsSchema,
  }),
});

const SOL_SOCKET = 1;
const SO_BUF_LOCK = 72;
const closeOnExec = 0o2000000;

interface Sight {
  readonly family: number;
  readonly state: number;
  readonly local: InetAddress | undefined;
  readonly remote: InetAddress | undefined;
}

function isTcp(sort: Sort | undefined): sort is Sort {
  return sort?.protocol === IPPROTO.TCP && sort.type === SOCK.STREAM && (sort.family === AF.INET || sort.family === AF.INET6);
}

function look(fd: number, { family }: Sort): Sight {
  return { family, state: tcpState(fd), local: inetAddressOf('getsockname', fd), remote: inetAddressOf('getpeername', fd) };
}

const unsynchronised: readonly number[] = [state.CLOSE, state.LISTEN, state.SYN_SENT];
/** Of a connection that nobody has accepted yet. */
const embryonic: readonly number[] = [state.ESTABLISHED, state.CLOSE_WAIT, state.SYN_RECV, state.NEW_SYN_RECV];

type Other =
  | { readonly where: 'inside'; readonly socket: InetSocket }
  | { readonly where: 'waiting' | 'closed' | 'outside'; readonly socket: InetSocket | undefined };

/** Where the other end of a connection is. */
function otherEnd({ local, remote }: Sight, snapshot: SocketSnapshot): Other {
  if (local === undefined || remote === undefined) return { where: 'outside', socket: undefined };
  const socket = snapshot.tcpOtherEnd(local, remote);
  if (socket === undefined) return { where: isLoopback(remote.address) ? 'closed' : 'outside', socket };
  if (socket.ino !== 0) return { where: snapshot.inside.has(socket.ino) ? 'inside' : 'outside', socket };
  if (!embryonic.includes(socket.state)) return { where: 'closed', socket };
  return { where: listenersFor(socket, snapshot).some(({ ino }) => snapshot.inside.has(ino)) ? 'waiting' : 'outside', socket };
}

function listenersFor({ local }: InetSocket, snapshot: SocketSnapshot): InetSocket[] {
  return snapshot.tcp.filter((other) => {
    const isSame = isWildcard(other.local.address) || Buffer.compare(other.local.address, local.address) === 0;
    return other.state === state.LISTEN && other.local.port === local.port && isSame;
  });
}

export const tcpSocket: ObjectKind<TcpSocketValue> & OpenFileKind = {
  record,
  title: 'TCP socket',
  carried:
    'IPv4 and IPv6: listening (also with connections of the tree that wait to be accepted), bound, connecting, connected within the tree with what is under way, half closed, with a closed other end; to outside the tree with --tcp-established (its packets are held off until the restart) or --tcp-close; options.',
  refused:
    'Connections to outside the tree, except on 0, 1, 2; data in a connection that waits to be accepted; MPTCP, TLS in the kernel.',

  recognise(file, table, collection) {
    const sort = sortOf(collection, file);
    if (!isTcp(sort)) return false;
    if (!openStream.recognise(file, table, collection)) return true;
    const snapshot = snapshotOf(collection.objects);
    return withDuplicate(collection, file, (fd) => {
      const sight = look(fd, sort);
      const isOutside = !unsynchronised.includes(sight.state) && otherEnd(sight, snapshot).where === 'outside';
      return !isOutside;
    });
  },

  collect: (file, objref, _table, collection) =>
    withDuplicate(collection, file, (fd) => {
      const sort = sortOf(collection, file);
      if (!isTcp(sort)) throw new TypeError('not recognised');
      return collectSocket(fd, look(fd, sort), file, objref, collection);
    }),

  restart(value, rebuild, { objref }) {
    socketWorldOf(rebuild.locals, rebuild.notes).add('tcp', objref, value, makeTcpSockets);
  },
};

function collectSocket(fd: number, sight: Sight, file: OpenFile, objref: number, collection: Collection) {
  const snapshot = snapshotOf(collection.objects);
  const { family, local, remote } = sight;
  const protocolOptions = family === AF.INET6 ? (['ip', 'ipv6'] as const) : (['ip'] as const);
  const type = { family, type: SOCK.STREAM, protocol: 0, options: ['socket', ...protocolOptions, 'tcp'] as const };
  if (hasUnreadableFilter(fd)) return filterBlocker(file);
  const protocol = upperProtocol(fd);
  if (protocol !== '')
    return fdBlocker(file, `the kernel speaks ${protocol} on it`, 'Let the program speak the protocol itself, or close it');
  const isSized = (getInt(fd, SOL_SOCKET, SO_BUF_LOCK) ?? 0) !== 0;
  const base = {
    family: family === AF.INET6 ? ('inet6' as const) : ('inet' as const),
    flags: file.info.flags & ~closeOnExec,
    ino: Number(file.stat.ino & 0xffff_ffffn),
    ...(local !== undefined && !isUnbound(local) && { local }),
    ...(remote !== undefined && { remote }),
    shutdown: 0,
    options: collectOptions(fd, type, isSized ? changing : [...changing, ...changingSizes]),
  };
  const finish = (value: TcpSocketValue, queue: readonly ImageNode[] = []): ImageNode[] => [
    node(record, value, { objref }),
    ...queue,
  ];
  const queued = (): ImageNode[] => collectQueue(peekStream(fd, snapshot.guard), objref, collection);
  const events = pollNow(fd, POLLIN);
  switch (sight.state) {
    case state.CLOSE: {
      const isFresh = (events & POLLIN) === 0;
      if (isFresh) return finish({ ...base, state: 'idle' });
      const { local: _, ...dead } = base;
      return finish({ ...dead, state: 'dead', ...((events & POLLERR) !== 0 && { error: true }) }, queued());
    }
    case state.SYN_SENT:
      return finish({ ...base, state: 'connecting' });
    case state.LISTEN: {
      const own = snapshot.tcp.find(({ ino }) => ino === base.ino);
      const waiting = waitingAt(own, snapshot);
      if (typeof waiting === 'string') return fdBlocker(file, waiting, 'Let the program accept it first');
      return finish({ ...base, state: 'listening', backlog: own?.send ?? 0, waiting });
    }
    default: {
      const other = otherEnd(sight, snapshot);
      const { connections = 'refuse' } = collection.objects.choices;
      if (other.where === 'outside' && connections === 'close') {
        const { local: _, ...dead } = base;
        return finish({ ...dead, state: 'dead', error: true }, queued());
      }
      if (other.where === 'outside' && connections === 'established' && local !== undefined && remote !== undefined) {
        if (sight.state !== state.ESTABLISHED) return fdBlocker(file, `it is half closed (${inetText(remote)})`, remedy(other));
        const taken = takeOutside(fd, { pid: collection.pid, fd: file.fd }, { local, remote }, collection.objects);
        if (typeof taken === 'string') return fdBlocker(file, `${taken} (${inetText(remote)})`, remedy(other));
        const messages = taken.received.length === 0 ? [] : [plain(taken.received)];
        const queue = collectQueue(messages, objref, collection);
        return finish({ ...base, state: 'connected', outside: taken.state }, queue);
      }
      const problem = standsInTheWay(other);
      if (problem !== undefined)
        return fdBlocker(file, `${problem} (${remote === undefined ? '' : inetText(remote)})`, remedy(other));
      const shutdown = shutdownOf(sight.state);
      snapshot.endWithoutTrace(collection.pid, file.fd);
      if (other.where !== 'inside') return finish({ ...base, state: 'connected', shutdown }, queued());
      const late = undeliveredTo(fd, other.socket, snapshot);
      if (typeof late === 'string') return fdBlocker(file, late, 'Try again, or run stasis as root (CAP_NET_ADMIN)');
      const { messages } = late;
      return finish(
        { ...base, state: 'connected', peer: other.socket.ino, shutdown },
        collectQueue(messages, objref, collection),
      );
    }
  }
}

/** What the kernel changes by itself in a connection. */
const changing = ['IP_MULTICAST_TTL', 'IPV6_MULTICAST_IF', 'IPV6_MULTICAST_HOPS'];
/** Of a connection; sizes that the program has set are locked. */
const changingSizes = ['SO_SNDBUF', 'SO_RCVBUF'];

/** FIN was sent by us: 2; it came from the other end: the bit for receiving is set by the other end when it is made again. */
function shutdownOf(now: number): number {
  return [state.FIN_WAIT1, state.FIN_WAIT2, state.CLOSING, state.LAST_ACK].some((ended) => ended === now) ? 2 : 0;
}

function standsInTheWay({ where, socket }: Other): string | undefined {
  if (where === 'outside') return 'its other end is outside the tree';
  if (where === 'waiting' && socket !== undefined && socket.receive > 0)
    return 'it has sent data on a connection that waits to be accepted';
  if (where === 'closed' && socket !== undefined && socket.send > 0)
    return 'its other end was closed with data that has not arrived';
  return undefined;
}

function remedy({ where }: Other): string {
  if (where === 'outside')
    return 'Pass --tcp-established to keep it (as root), --tcp-close to have it come back as if it had been reset, or checkpoint a tree that holds both ends';
  return where === 'waiting' ? 'Let the program accept it first' : 'Try again a little later';
}

/** Inodes of those whose connections wait at a listening socket: nobody has a descriptor of the accepting ends. */
function waitingAt(own: InetSocket | undefined, snapshot: SocketSnapshot): number[] | string {
  if (own === undefined || own.receive === 0) return [];
  const isHere = (socket: InetSocket): boolean => listenersFor(socket, snapshot).some(({ ino }) => ino === own.ino);
  const embryos = snapshot.tcp.filter((socket) => socket.ino === 0 && embryonic.includes(socket.state) && isHere(socket));
  const clients = embryos.map(({ local, remote }) => snapshot.tcpOtherEnd(local, remote)?.ino ?? 0);
  if (clients.length < own.receive || !clients.every((ino) => snapshot.inside.has(ino)))
    return 'a connection from outside the tree waits to be accepted';
  return clients;
}

/** The protocol that the kernel adds to the connection, such as `tls`; empty for none. Source: net/ipv4/tcp_ulp.c. */
function upperProtocol(fd: number): string {
  const TCP_ULP = 31;
  const TCP_ULP_NAME_MAX = 16;
  const name = getOption(fd, IPPROTO.TCP, TCP_ULP, TCP_ULP_NAME_MAX);
  return typeof name === 'number' ? '' : Buffer.from(name).toString('latin1').replace(/\0.*$/s, '');
}
