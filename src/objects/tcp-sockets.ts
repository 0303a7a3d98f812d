/**
 * Makes the TCP sockets of an image: first those that listen, then the connections within the tree, each by connecting and
 * accepting again under the former addresses, then what is under way. No privilege is needed.
 */
import { closeSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { errno } from '../linux/errno.ts';
import { syscall, syscallError } from '../linux/ffi.ts';
import { waitReadable } from '../linux/poll-now.ts';
import { endTimeWaits } from '../linux/sock-diag.ts';
import { AF } from '../linux/socket-address.ts';
import { getInt, openSocket, setOption, SOCK, withAddress } from '../linux/sockets.ts';
import { inetAddressOf, inetText, isWildcard, placeOf, sockaddrOf, type InetAddress } from './inet-address.ts';
import { localCall } from './local-descriptors.ts';
import { sendAll } from './socket-send.ts';
import { restoreOptions } from './socket-options.ts';
import type { SocketWorld } from './socket-world.ts';
import { giveOutside, letGoOf, type OutsideState } from './tcp-outside.ts';
import type { TcpSocketValue } from './tcp-socket.ts';

interface TcpEnd {
  readonly objref: number;
  readonly value: TcpSocketValue;
  fd: number;
  /** Our descriptor of the other end. */
  other: number;
}

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_ERROR = 4;
const SO_LINGER = 13;

export function makeTcpSockets(sockets: ReadonlyMap<number, TcpSocketValue>, world: SocketWorld): void {
  new TcpSockets(sockets, world).make();
}

class TcpSockets {
  readonly #world: SocketWorld;
  readonly #ends: TcpEnd[];
  readonly #byInode: Map<number, TcpEnd>;
  readonly #resumptions: (() => void)[] = [];
  readonly #held = new Set<string>();
  readonly #temporary = new Map<string, number>();

  constructor(sockets: ReadonlyMap<number, TcpSocketValue>, world: SocketWorld) {
    this.#world = world;
    this.#ends = [...sockets].map(([objref, value]) => ({ objref, value, fd: -1, other: -1 }));
    this.#byInode = new Map(this.#ends.map((end) => [end.value.ino, end]));
    if (this.#byInode.size < this.#ends.length) throw new StasisError('IMAGE', 'Two sockets of the image have one inode');
  }

  make(): void {
    try {
      for (const end of this.#ends) if (end.value.state === 'listening' || end.value.state === 'idle') this.#plain(end);
      for (const end of this.#ends) if (end.fd < 0 && end.value.state === 'connected') this.#connected(end);
      for (const end of this.#ends) if (end.value.state === 'listening') this.#fillBacklog(end.value);
      for (const end of this.#ends) if (end.fd < 0) this.#rest(end);
      for (const end of this.#ends) this.#fill(end);
      for (const name of this.#held) letGoOf(name);
      for (const resume of this.#resumptions) resume();
      for (const end of this.#ends) this.#end(end);
    } finally {
      for (const fd of this.#temporary.values()) closeSync(fd);
    }
  }

  /** With its options that matter early; it may take an address that a former connection still occupies (TIME_WAIT). */
  #open({ family, options }: TcpSocketValue): number {
    const fd = openSocket(family === 'inet' ? AF.INET : AF.INET6, SOCK.STREAM);
    restoreOptions(fd, options, 'early'); // what fails now is told at the end
    setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return fd;
  }

  #put(end: TcpEnd, fd: number): void {
    end.fd = fd;
    this.#world.locals.put(end.objref, fd);
  }

  #plain(end: TcpEnd): void {
    const { local, state, backlog = 0, waiting = [] } = end.value;
    this.#put(end, this.#open(end.value));
    if (local !== undefined) bind(end.fd, local);
    if (state === 'listening') listen(end.fd, Math.max(backlog, waiting.length));
  }

  #connected(end: TcpEnd): void {
    const { value } = end;
    if (value.local === undefined || value.remote === undefined)
      throw new StasisError('IMAGE', `The connection ${value.ino} of the image has no addresses`);
    if (value.outside !== undefined) return this.#outside(end, value.outside, value.local, value.remote);
    if (value.peer === undefined && this.#ends.some(({ value: { waiting } }) => waiting?.includes(value.ino) === true)) return;
    const other = this.#byInode.get(value.peer ?? -1);
    if (value.peer !== undefined && other?.value.peer !== value.ino)
      throw new StasisError('IMAGE', `The other end of the connection ${value.ino} is not in the image`);
    const mirrored = other?.value ?? { ...value, local: value.remote, remote: value.local, options: [] };
    const isServer = this.#listenerAt(value.local) !== undefined || this.#listenerAt(value.remote) === undefined;
    const [server, client] = isServer ? [value, mirrored] : [mirrored, value];
    const [accepted, connected] = this.#connection(server, client);
    const [own, others] = isServer ? [accepted, connected] : [connected, accepted];
    this.#put(end, own);
    end.other = others;
    if (other === undefined) return;
    this.#put(other, others);
    other.other = own;
  }

  /** Its packets are let through when it is there: else they would be answered with a reset. */
  #outside(end: TcpEnd, state: OutsideState, local: InetAddress, remote: InetAddress): void {
    const fd = this.#open(end.value);
    this.#put(end, fd);
    const received = Buffer.concat(this.#world.queueOf(end.objref).map(({ data }) => data));
    const { resume } = giveOutside(fd, state, received, () => {
      bind(fd, local); // under repair beside a socket that listens there
      connect(fd, remote);
    });
    this.#resumptions.push(resume);
    if (state.held !== undefined) this.#held.add(state.held);
  }

  #connection(server: TcpSocketValue, client: TcpSocketValue): [accepted: number, connected: number] {
    const listener = this.#listener(server);
    const fd = this.#open(client);
    if (client.local !== undefined) bind(fd, client.local);
    if (client.remote !== undefined) connect(fd, client.remote);
    waitReadable(listener, 'a connection of the image to be made again');
    const accepted = localCall('accept a connection', 'accept4', [listener, 0, 0, SOCK.CLOEXEC]);
    return [accepted, fd];
  }

  #listenerAt(local: InetAddress): number | undefined {
    const isAt = (own: InetAddress | undefined): boolean =>
      own !== undefined && own.port === local.port && (isWildcard(own.address) || placeOf(own) === placeOf(local));
    return this.#ends.find(({ value, fd }) => fd >= 0 && value.state === 'listening' && isAt(value.local))?.fd;
  }

  #listener(server: TcpSocketValue): number {
    const { local } = server;
    if (local === undefined) throw new StasisError('IMAGE', 'A connection of the image has no address');
    const key = placeOf(local);
    const known = this.#listenerAt(local) ?? this.#temporary.get(key);
    if (known !== undefined) return known;
    const fd = this.#open({ ...server, options: [] });
    this.#temporary.set(key, fd);
    bind(fd, local);
    listen(fd, 1);
    return fd;
  }

  /** Connections that nobody has accepted yet. */
  #fillBacklog({ waiting = [] }: TcpSocketValue): void {
    for (const ino of waiting) {
      const client = this.#byInode.get(ino);
      if (client === undefined || client.fd >= 0) continue;
      this.#put(client, this.#open(client.value));
      const { local, remote } = client.value;
      if (local !== undefined) bind(client.fd, local);
      if (remote !== undefined) connect(client.fd, remote);
    }
  }

  #rest(end: TcpEnd): void {
    const { state, local, remote, family } = end.value;
    if (state === 'connecting') {
      this.#put(end, this.#open(end.value));
      if (local !== undefined) bind(end.fd, local);
      localCall('set the flags of a socket', 'fcntl', [end.fd, F_SETFL, O_NONBLOCK]);
      if (remote !== undefined) withAddress('connect', end.fd, sockaddrOf(remote)); // its outcome is the program's to learn
      return;
    }
    if (state !== 'dead') throw new StasisError('IMAGE', `The connection ${end.value.ino} of the image leads nowhere`);
    // any connection will do: neither end has an address any more
    const address = new Uint8Array(family === 'inet' ? 4 : 16);
    address.set(family === 'inet' ? [127, 0, 0, 1] : [1], family === 'inet' ? 0 : 15);
    const listener = this.#open({ ...end.value, options: [] });
    try {
      bind(listener, { address, port: 0 });
      listen(listener, 1);
      const place = inetAddressOf('getsockname', listener);
      this.#put(end, this.#open(end.value));
      if (place !== undefined) connect(end.fd, place);
      waitReadable(listener, 'a connection');
      end.other = localCall('accept a connection', 'accept4', [listener, 0, 0, SOCK.CLOEXEC]);
    } finally {
      closeSync(listener);
    }
  }

  #fill(end: TcpEnd): void {
    if (end.value.outside !== undefined) return;
    for (const { data } of this.#world.queueOf(end.objref)) {
      if (end.other < 0) throw new StasisError('IMAGE', `Nobody has sent what waits in the socket ${end.value.ino}`);
      sendAll(end.other, end.fd, { data });
    }
  }

  #end(end: TcpEnd): void {
    const { value, fd } = end;
    const SHUT_WR = 1;
    if (end.other >= 0 && value.peer === undefined) {
      const linger = Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0]); // closes with a reset
      if (value.state === 'dead') setOption(end.other, SOL_SOCKET, SO_LINGER, linger);
      closeSync(end.other);
      if (value.state === 'dead' && value.error !== true) getInt(fd, SOL_SOCKET, SO_ERROR);
    }
    if ((value.shutdown & 2) !== 0) syscall('shutdown', fd, SHUT_WR);
    const SO_REUSE: { name: string; number: number } = { name: 'SO_REUSEADDR', number: 0 };
    const options = value.options.some(({ name }) => name === SO_REUSE.name) ? value.options : [...value.options, SO_REUSE];
    const lost = [...restoreOptions(fd, options, 'early'), ...restoreOptions(fd, options, 'late')];
    for (const name of lost) this.#world.notes.push(`A TCP socket could not be given its ${name}`);
    localCall('set the flags of a socket', 'fcntl', [fd, F_SETFL, value.flags]);
  }
}

const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

function bind(fd: number, address: InetAddress): void {
  let result = withAddress('bind', fd, sockaddrOf(address));
  if (result === -errno.EADDRINUSE) {
    endTimeWaits(address.address.length === 4 ? AF.INET : AF.INET6, address.port);
    result = withAddress('bind', fd, sockaddrOf(address));
  }
  if (result < 0) throw failed('bind', result, `Cannot bind a socket to ${inetText(address)} again`);
}

function connect(fd: number, address: InetAddress): void {
  const result = withAddress('connect', fd, sockaddrOf(address));
  if (result < 0) throw failed('connect', result, `Cannot connect a socket to ${inetText(address)} again`);
}

function listen(fd: number, backlog: number): void {
  localCall('let a socket listen', 'listen', [fd, backlog]);
}

function failed(call: string, result: number, action: string): StasisError {
  const hint =
    result === -errno.EADDRINUSE
      ? 'Another program has the address, or the original still runs: end it. After an orderly end a port is free a minute later.'
      : 'The address must exist on this machine.';
  return syscallError(call, result, action, { code: 'RESTART_FAILED', phase: 'restore', hint });
}
