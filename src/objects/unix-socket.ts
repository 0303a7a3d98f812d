/** Unix sockets: stream, datagram, seqpacket. Source: man 7 unix, man 7 sock_diag, net/unix/af_unix.c. */
import { resolve } from 'node:path';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { POLLERR, POLLIN, pollNow } from '../linux/poll-now.ts';
import { readCwd } from '../linux/proc/links.ts';
import { isSocketFile } from '../linux/socket-file.ts';
import { AF, addressText, decodeAddress } from '../linux/socket-address.ts';
import { hasUnreadableFilter } from '../linux/socket-options.ts';
import { peekDatagrams, peekStream } from '../linux/socket-queue.ts';
import { state, type UnixSocket } from '../linux/sock-diag.ts';
import { addressOf, getIoctl, getOption, SOCK } from '../linux/sockets.ts';
import { viewOf } from '../linux/structs.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';
import { fdBlocker, fileType, type OpenFile, type OpenFileKind } from './open-file.ts';
import { openStream } from './open-stream.ts';
import { statPath } from './path-stat.ts';
import { collectOptions, filterBlocker, optionsSchema, type StoredOption } from './socket-options.ts';
import { collectQueue } from './socket-queue.ts';
import { snapshotOf, withDuplicate } from './socket-snapshot.ts';
import { socketWorldOf } from './socket-world.ts';
import { makeUnixSockets } from './unix-sockets.ts';

export interface UnixSocketValue {
  readonly type: 'stream' | 'dgram' | 'seqpacket';
  readonly flags: number;
  /** By which the others in the image mean it. */
  readonly ino: number;
  readonly state: 'idle' | 'listening' | 'connected';
  /** As in sun_path: a path, or a first byte 0 and an abstract name. */
  readonly name?: Uint8Array | undefined;
  /** Of a path. */
  readonly file?: SocketFile | undefined;
  /** Inode of the other end, when that is in the image: else it is closed, or has only a name. */
  readonly peer?: number | undefined;
  readonly peerName?: Uint8Array | undefined;
  /** SO_PEERCRED */
  readonly peerCredentials?: { readonly pid: number; readonly uid: number; readonly gid: number } | undefined;
  /** The other end was closed with something unread: the next call answers ECONNRESET. */
  readonly reset?: boolean | undefined;
  readonly backlog?: number | undefined;
  /** Of a listening socket: whose connections wait to be accepted, in order. */
  readonly waiting?: readonly number[] | undefined;
  /** Bit 0: nothing will be received, bit 1: nothing can be sent. */
  readonly shutdown: number;
  readonly options: readonly StoredOption[];
}

export interface SocketFile {
  /** Where a relative path begins. */
  readonly directory: string;
  /** It was deleted, or something else has its path. */
  readonly gone: boolean;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

const id = s.uint(0xffff_ffff);
const sunPath = s.hex(s.bytes(108));

const record: RecordKind<UnixSocketValue> = defineKind<UnixSocketValue>({
  tag: 0x80,
  name: 'unix-socket',
  parents: ['files'],
  title: (value) =>
    `${value.type}, ${value.state}${value.name === undefined ? '' : ` ${addressText({ family: 'unix', name: value.name })}`}`,
  schema: s.record({
    type: s.oneOf('stream', 'dgram', 'seqpacket'),
    flags: s.hex(id),
    ino: id,
    state: s.oneOf('idle', 'listening', 'connected'),
    name: s.optional(sunPath),
    file: s.optional(s.record({ directory: s.text(4096), gone: s.bool(), mode: s.hex(s.uint(0o7777)), uid: id, gid: id })),
    peer: s.optional(id),
    peerName: s.optional(sunPath),
    peerCredentials: s.optional(s.record({ pid: id, uid: id, gid: id })),
    reset: s.optional(s.bool()),
    backlog: s.optional(id),
    waiting: s.optional(s.array(id, 65536)),
    shutdown: s.uint(3),
    options: optionsSchema,
  }),
});

const types: Readonly<Record<number, UnixSocketValue['type']>> = {
  [SOCK.STREAM]: 'stream',
  [SOCK.DGRAM]: 'dgram',
  [SOCK.SEQPACKET]: 'seqpacket',
};

const inodeOf = (file: OpenFile): number => Number(file.stat.ino & 0xffff_ffffn); // sock_diag tells the lower half

/** The other end is a descriptor of a process that is not in the tree, or waits there to be accepted. */
function peerIsOutside(found: UnixSocket, collection: Collection): boolean {
  const { inside, unix, carried } = snapshotOf(collection.objects);
  if (found.type === SOCK.DGRAM || found.state !== state.ESTABLISHED) return false;
  const { peer = 0 } = found;
  if (peer !== 0) return !inside.has(peer) && !carried.has(peer);
  const isClosed = found.shutdown === 3;
  return !isClosed && ![...inside.keys()].some((ino) => unix.get(ino)?.waiting.includes(found.ino) === true);
}

export const unixSocket: ObjectKind<UnixSocketValue> & OpenFileKind = {
  record,
  title: 'Unix socket',
  carried:
    'Stream, datagram and seqpacket: pairs, connections within the tree (also those that wait to be accepted), listening, bound to a path (also a deleted one) or an abstract name, closed other ends, shutdown, options, user and group of SO_PEERCRED.',
  refused:
    'Connections to processes outside the tree, except on 0, 1, 2; connections that wait to be accepted with data in them. SO_PEERCRED and SO_PEERPIDFD tell the process that restarted.',

  recognise(file, table, collection) {
    if (!fileType.isSocket(file.stat)) return false;
    const found = snapshotOf(collection.objects).unix.get(inodeOf(file));
    if (found === undefined || types[found.type] === undefined) return false;
    return !(peerIsOutside(found, collection) && openStream.recognise(file, table, collection));
  },

  collect(file, objref, _table, collection) {
    const snapshot = snapshotOf(collection.objects);
    const found = snapshot.unix.get(inodeOf(file));
    if (found === undefined) throw new TypeError('not recognised');
    snapshot.carried.add(found.ino);
    if (!snapshot.inside.has(found.peer ?? 0) && peerIsOutside(found, collection)) {
      // another look at the end: the other end may be under way in a message
      collection.objects.atEnd(() =>
        snapshot.carried.has(found.peer ?? 0)
          ? []
          : [
              fdBlocker(
                file,
                `its other end (socket:[${found.peer ?? 0}]) belongs to a process outside the tree`,
                'Checkpoint a tree that holds both ends, or let the program close the connection',
              ),
            ],
      );
    }
    return withDuplicate(collection, file, (fd) => collectSocket(fd, found, file, objref, collection));
  },

  restart(value, rebuild, { objref }) {
    socketWorldOf(rebuild.locals, rebuild.notes).add('unix', objref, value, makeUnixSockets);
  },
};

function collectSocket(fd: number, found: UnixSocket, file: OpenFile, objref: number, collection: Collection) {
  const { objects, pid } = collection;
  const snapshot = snapshotOf(objects);
  const problem = unaccepted(fd, found, snapshot.unix, snapshot.inside);
  if (problem !== undefined) return fdBlocker(file, problem, 'Let the program accept it, or the other side close it, first');
  const hasError = (pollNow(fd, POLLIN) & POLLERR) !== 0;
  if (hasError && found.type !== SOCK.STREAM)
    // a look at the queue would take the error away (net/core/datagram.c)
    return fdBlocker(file, 'an error waits to be told to the program', 'Let the program use the socket first');
  if (hasUnreadableFilter(fd)) return filterBlocker(file);
  const isListening = found.state === state.LISTEN;
  const name = nameOf(fd, 'getsockname');
  const peerName = nameOf(fd, 'getpeername');
  // a datagram socket to which another one connects is ESTABLISHED too (af_unix.c: unix_dgram_connect)
  const isConnected = found.type === SOCK.DGRAM ? found.peer !== undefined : found.state === state.ESTABLISHED;
  const credentials = isConnected && found.type !== SOCK.DGRAM ? peerCredentials(fd) : undefined;
  const value: UnixSocketValue = {
    type: types[found.type] ?? 'stream',
    flags: file.info.flags & ~closeOnExec,
    ino: found.ino,
    state: isListening ? 'listening' : isConnected ? 'connected' : 'idle',
    ...(name !== undefined && name.length > 0 && { name }),
    ...(name !== undefined && name.length > 0 && name[0] !== 0 && { file: socketFile(name, found, pid) }),
    ...(isConnected && found.peer !== undefined && found.peer !== 0 && { peer: found.peer }),
    ...(peerName !== undefined && peerName.length > 0 && { peerName }),
    ...(credentials !== undefined && { peerCredentials: credentials }),
    ...(isConnected && hasError && { reset: true }),
    ...(isListening && { backlog: found.send, waiting: found.waiting }),
    shutdown: found.shutdown,
    options: collectOptions(fd, { family: AF.UNIX, type: found.type, protocol: 0, options: ['socket', 'unix'] }),
  };
  collection.objects.descriptions.add(pid, file, objref); // its own queue may hold it
  const nodes: ImageNode[] = [node(record, value, { objref })];
  if (isListening || (found.state !== state.ESTABLISHED && found.type !== SOCK.DGRAM)) return nodes;
  const messages = found.type === SOCK.STREAM ? peekStream(fd, snapshot.guard) : peekDatagrams(fd, snapshot.guard);
  return [...nodes, ...collectQueue(messages, objref, collection)];
}

const closeOnExec = 0o2000000;

/** A connection that waits to be accepted: nobody has a descriptor of its accepting end, so nothing in it can be read. */
function unaccepted(
  fd: number,
  { waiting, state: now, peer, shutdown, type }: UnixSocket,
  all: ReadonlyMap<number, UnixSocket>,
  inside: ReadonlyMap<number, unknown>,
): string | undefined {
  const SIOCOUTQ = 0x5411;
  if (now === state.LISTEN && waiting.some((client) => !inside.has(client) || all.get(client) === undefined))
    return 'a connection waits to be accepted whose other end is not in the tree';
  const waits = type !== SOCK.DGRAM && now === state.ESTABLISHED && peer === 0 && shutdown !== 3;
  return waits && getIoctl(fd, SIOCOUTQ) > 0 ? 'it has sent data on a connection that waits to be accepted' : undefined;
}

function nameOf(fd: number, call: 'getsockname' | 'getpeername'): Uint8Array | undefined {
  const bytes = addressOf(call, fd);
  const address = bytes === undefined ? undefined : decodeAddress(bytes);
  return address?.family === 'unix' ? address.name : undefined;
}

function peerCredentials(fd: number): UnixSocketValue['peerCredentials'] {
  const SOL_SOCKET = 1;
  const SO_PEERCRED = 17;
  const bytes = getOption(fd, SOL_SOCKET, SO_PEERCRED, 12);
  if (typeof bytes === 'number' || bytes.length < 12) return undefined;
  const view = viewOf(bytes);
  return { pid: Math.max(0, view.getInt32(0, true)), uid: view.getUint32(4, true), gid: view.getUint32(8, true) };
}

function socketFile(name: Uint8Array, found: UnixSocket, pid: number): SocketFile {
  const directory = readCwd(pid)?.path ?? '/';
  const stat = statPath(resolve(directory, Buffer.from(name).toString('utf8')));
  const gone = stat === undefined || found.file === undefined || !isSocketFile(stat, found.file);
  if (gone) return { directory, gone, mode: 0o755, uid: 0, gid: 0 };
  return { directory, gone, mode: Number(stat.mode & 0o7777n), uid: Number(stat.uid), gid: Number(stat.gid) };
}
