/**
 * Makes the unix sockets of an image: first those that others reach by their names, then pairs and connections, then what
 * is under way in them, at last the ends (shutdown, closed, deleted names) and the options.
 */
import { closeSync } from 'node:fs';
import { asUser } from '../linux/effective-ids.ts';
import { syscall, syscallError } from '../linux/ffi.ts';
import { addressText, AF, encodeAddress } from '../linux/socket-address.ts';
import { openSocket, openSocketPair, sendMessage, SOCK, withAddress } from '../linux/sockets.ts';
import { StasisError } from '../errors.ts';
import { localCall } from './local-descriptors.ts';
import { restoreOptions } from './socket-options.ts';
import type { SocketWorld } from './socket-world.ts';
import { bindName, within, type BoundName } from './unix-names.ts';
import type { UnixSocketValue } from './unix-socket.ts';
import { fillQueues } from './unix-queues.ts';

export interface UnixEnd {
  readonly objref: number;
  readonly value: UnixSocketValue;
  fd: number;
  /** Our descriptor of the other end: that of another socket of the image, or one that will be closed. */
  other: number;
}

const typeNumbers = { stream: SOCK.STREAM, dgram: SOCK.DGRAM, seqpacket: SOCK.SEQPACKET } as const;

export function makeUnixSockets(sockets: ReadonlyMap<number, UnixSocketValue>, world: SocketWorld): void {
  new UnixSockets(sockets, world).make();
}

class UnixSockets {
  readonly #world: SocketWorld;
  readonly #ends: UnixEnd[];
  readonly #byInode: Map<number, UnixEnd>;
  readonly #names: BoundName[] = [];
  readonly #temporary: number[] = [];

  constructor(sockets: ReadonlyMap<number, UnixSocketValue>, world: SocketWorld) {
    this.#world = world;
    this.#ends = [...sockets].map(([objref, value]) => ({ objref, value, fd: -1, other: -1 }));
    this.#byInode = new Map(this.#ends.map((end) => [end.value.ino, end]));
    if (this.#byInode.size < this.#ends.length) throw new StasisError('IMAGE', 'Two sockets of the image have one inode');
  }

  make(): void {
    try {
      for (const end of this.#ends) if (end.value.state === 'listening') this.#listen(end);
      for (const end of this.#ends) if (end.fd < 0 && end.value.type === 'dgram') this.#datagram(end);
      for (const end of this.#ends) if (end.fd < 0 && end.value.state === 'connected') this.#connected(end);
      for (const end of this.#ends) this.#fillBacklog(end);
      for (const end of this.#ends)
        if (end.fd < 0) this.#put(end, this.#named(end, openSocket(AF.UNIX, typeNumbers[end.value.type])));
      for (const end of this.#ends) this.#connectDatagrams(end);
      fillQueues(this.#ends, this.#world);
      for (const end of this.#ends) this.#finish(end);
    } finally {
      for (const fd of this.#temporary) closeSync(fd);
      for (const name of this.#names) name.removeIfGone();
    }
  }

  #put(end: UnixEnd, fd: number): void {
    end.fd = fd;
    this.#world.locals.put(end.objref, fd);
    restoreOptions(fd, end.value.options, 'early'); // what fails now is told at the end
  }

  #named(end: UnixEnd, fd: number): number {
    const { name, file } = end.value;
    if (name !== undefined) this.#names.push(bindName(fd, name, file));
    return fd;
  }

  #listen(end: UnixEnd): void {
    const { type, backlog = 0, waiting = [] } = end.value;
    const fd = openSocket(AF.UNIX, typeNumbers[type]);
    this.#put(end, this.#named(end, fd));
    const first = this.#byInode.get(waiting[0] ?? -1)?.value.peerCredentials;
    const client = first ?? this.#ends.find(({ value }) => sameName(value.peerName, end.value.name))?.value.peerCredentials;
    asUser(client, () => localCall('let a socket listen', 'listen', [fd, Math.max(backlog, waiting.length)]));
  }

  #datagram(end: UnixEnd): void {
    const { peer, ino, peerName, state } = end.value;
    const other = this.#byInode.get(peer ?? -1);
    const isPair = other !== undefined && other.value.peer === ino;
    if (isPair && other.fd < 0) return this.#pair(end, other);
    if (state === 'connected' && peer === undefined && peerName === undefined) return this.#pair(end, undefined);
    this.#put(end, this.#named(end, openSocket(AF.UNIX, SOCK.DGRAM)));
  }

  /** One end knows the other, which does not know it. */
  #connectDatagrams({ value, fd, other }: UnixEnd): void {
    const { type, state, peerName, peer } = value;
    if (type !== 'dgram' || state !== 'connected' || peerName === undefined || other >= 0) return;
    const inside = this.#byInode.get(peer ?? -1);
    if (inside !== undefined) return connectTo(fd, inside.value);
    if (withAddress('connect', fd, encodeAddress({ family: 'unix', name: peerName })) === 0) return;
    const text = addressText({ family: 'unix', name: peerName });
    this.#world.notes.push(`A datagram socket is not connected any more: nobody has the name ${text}`);
  }

  #connected(end: UnixEnd): void {
    const { value } = end;
    if (value.peer === undefined && this.#ends.some(({ value: { waiting } }) => waiting?.includes(value.ino) === true)) return;
    const other = this.#byInode.get(value.peer ?? -1);
    if (value.peer !== undefined && other?.value.peer !== value.ino)
      throw new StasisError('IMAGE', `The other end of the socket ${value.ino} is not in the image`);
    if (value.name === undefined && value.peerName === undefined) return this.#pair(end, other);
    // The one that accepted has the name of the listening socket; the one that connected seldom has any.
    const isClient = value.peerName !== undefined;
    if (other === undefined) return this.#toClosed(end, isClient);
    const [client, server] = isClient ? [end, other] : [other, end];
    this.#accept(client, server);
  }

  /** Connections that nobody has accepted yet, in their order. */
  #fillBacklog({ value }: UnixEnd): void {
    for (const ino of value.waiting ?? []) {
      const client = this.#byInode.get(ino);
      if (client !== undefined && client.fd < 0) this.#connect(client, value);
    }
  }

  #pair(end: UnixEnd, other: UnixEnd | undefined): void {
    const [a, b] = asUser(end.value.peerCredentials, () => openSocketPair(typeNumbers[end.value.type]));
    this.#put(end, a);
    end.other = b;
    this.#named(end, a);
    if (other === undefined) return;
    this.#put(other, b);
    other.other = a;
    this.#named(other, b);
  }

  #connect(client: UnixEnd, server: Pick<UnixSocketValue, 'name' | 'file'>): void {
    const fd = openSocket(AF.UNIX, typeNumbers[client.value.type]);
    this.#put(client, this.#named(client, fd));
    connectTo(fd, server);
  }

  #accept(client: UnixEnd, server: UnixEnd): void {
    const listener = this.#listener(server.value, client.value);
    asUser(server.value.peerCredentials, () => this.#connect(client, server.value));
    const fd = localCall('accept a connection', 'accept4', [listener, 0, 0, SOCK.CLOEXEC]);
    this.#put(server, fd);
    [client.other, server.other] = [fd, client.fd];
  }

  /** A connection whose other end is closed but still has a name to tell (getpeername), or left its own behind. */
  #toClosed(end: UnixEnd, isClient: boolean): void {
    const { value } = end;
    const type = typeNumbers[value.type];
    if (isClient) {
      const listener = this.#listener({ ...value, name: value.peerName, file: undefined, peerCredentials: undefined }, value);
      this.#connect(end, { name: value.peerName });
      end.other = localCall('accept a connection', 'accept4', [listener, 0, 0, SOCK.CLOEXEC]);
      return;
    }
    const listener = this.#listener(value, undefined);
    const client = openSocket(AF.UNIX, type);
    end.other = client;
    asUser(value.peerCredentials, () => connectTo(client, value));
    this.#put(end, localCall('accept a connection', 'accept4', [listener, 0, 0, SOCK.CLOEXEC]));
  }

  /** A socket that listens under the name of this end of a connection: the one of the image, or one for the moment. */
  #listener(server: UnixSocketValue, client: UnixSocketValue | undefined): number {
    const known = this.#ends.find(
      ({ value, fd }) =>
        fd >= 0 && value.state === 'listening' && value.type === server.type && sameName(value.name, server.name),
    );
    if (known !== undefined) return known.fd; // nothing waits there yet
    const fd = openSocket(AF.UNIX, typeNumbers[server.type]);
    this.#temporary.push(fd);
    const file = server.file ?? { directory: '/', gone: true, mode: 0o755, uid: 0, gid: 0 };
    this.#names.push(bindName(fd, server.name ?? new Uint8Array(0), { ...file, gone: true }));
    asUser(client?.peerCredentials, () => localCall('let a socket listen', 'listen', [fd, 1]));
    return fd;
  }

  #finish(end: UnixEnd): void {
    const { value, fd } = end;
    const F_SETFL = 4;
    const isAlone = end.other >= 0 && value.peer === undefined;
    if (isAlone && value.reset === true) sendMessage(fd, { data: new Uint8Array(1) }); // nobody reads it before the close
    if (isAlone) closeSync(end.other);
    if (value.shutdown > 0 && value.state !== 'listening') syscall('shutdown', fd, value.shutdown - 1);
    localCall('set the flags of a socket', 'fcntl', [fd, F_SETFL, value.flags]);
    const lost = [...restoreOptions(fd, value.options, 'early'), ...restoreOptions(fd, value.options, 'late')];
    for (const name of lost) this.#world.notes.push(`A unix socket could not be given its ${name}`);
  }
}

function sameName(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && Buffer.compare(a, b) === 0;
}

function connectTo(fd: number, { name = new Uint8Array(0), file }: Pick<UnixSocketValue, 'name' | 'file'>): void {
  const address = encodeAddress({ family: 'unix', name });
  const result = within(file?.directory ?? '/', () => withAddress('connect', fd, address));
  if (result < 0)
    throw failed('connect', result, `Cannot connect a unix socket to ${addressText({ family: 'unix', name })} again`);
}

function failed(call: string, result: number, action: string): StasisError {
  return syscallError(call, result, action, { code: 'RESTART_FAILED', phase: 'restore' });
}
