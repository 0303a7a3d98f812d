/** What a checkpoint knows of sockets beyond a single one: all those of the system, and which of them the tree has. */
import { closeSync } from 'node:fs';
import { x86_64 } from '../arch/x86_64.ts';
import { PidFd, type Place } from '../linux/descriptors.ts';
import { syscallError } from '../linux/ffi.ts';
import { Guard } from '../linux/guard.ts';
import type { FdLink } from '../linux/proc/fds.ts';
import { IPPROTO, readInetSockets, readUnixSockets, type InetEnd, type InetSocket, type UnixSocket } from '../linux/sock-diag.ts';
import { AF } from '../linux/socket-address.ts';
import { getInt, setOption } from '../linux/sockets.ts';
import { placeOf } from './inet-address.ts';
import type { Collection } from './object.ts';
import { fileType, type OpenFile } from './open-file.ts';
import type { ObjectTable } from './object-table.ts';

export class SocketSnapshot {
  readonly #objects: ObjectTable;
  #unix: ReadonlyMap<number, UnixSocket> | undefined;
  #inside: ReadonlyMap<number, Place> | undefined;
  #guard: Guard | undefined;
  #tcp: readonly InetSocket[] | undefined;
  readonly #ending: Place[] = [];
  #tcpByEnds: ReadonlyMap<string, InetSocket> | undefined;
  readonly #processes = new Map<number, PidFd>();
  /** By inode. */
  readonly sorts: Map<bigint, Sort> = new Map();
  /** Inodes of the sockets that are in the image. */
  readonly carried: Set<number> = new Set();

  constructor(objects: ObjectTable) {
    this.#objects = objects;
  }

  process(pid: number): PidFd {
    let process = this.#processes.get(pid);
    if (process === undefined) this.#processes.set(pid, (process = this.#objects.keep(new PidFd(pid))));
    return process;
  }

  get unix(): ReadonlyMap<number, UnixSocket> {
    return (this.#unix ??= readUnixSockets());
  }

  /** The sockets that a process of the tree has a descriptor of, by inode. */
  get inside(): ReadonlyMap<number, Place> {
    this.#inside ??= new Map(
      this.#objects.processes.flatMap((pid) => this.#objects.files.of(pid).flatMap((file) => placesOf(pid, file))),
    );
    return this.#inside;
  }

  /** Our duplicate of a socket of the tree. */
  duplicateOf(ino: number): number | undefined {
    const place = this.inside.get(ino);
    return place === undefined ? undefined : duplicate(place);
  }

  /**
   * Where the tree is to end: its connections within go without a trace. An orderly end would leave each address occupied for
   * a minute (TIME_WAIT). Duplicates keep them open until the processes have been killed: nothing is to be undone if we die.
   */
  endWithoutTrace(pid: number, fd: number): void {
    if (this.#ending.push({ pid, fd }) > 1) return;
    this.#objects.choices.ending?.around(() => {
      const fds = this.#ending.flatMap((place) => duplicate(place) ?? []);
      return () => {
        for (const own of fds) {
          setOption(own, SOL_SOCKET, SO_LINGER, resetAtClose);
          closeSync(own);
        }
      };
    });
  }

  /** All TCP sockets, also those that nobody has a descriptor of. */
  get tcp(): readonly InetSocket[] {
    return (this.#tcp ??= ([AF.INET, AF.INET6] as const).flatMap((family) => readInetSockets(family, IPPROTO.TCP)));
  }

  /** The TCP socket at the other end of a connection on this host. */
  tcpOtherEnd(local: InetEnd, remote: InetEnd): InetSocket | undefined {
    this.#tcpByEnds ??= new Map(this.tcp.map((socket) => [`${placeOf(socket.local)} ${placeOf(socket.remote)}`, socket]));
    return this.#tcpByEnds.get(`${placeOf(remote)} ${placeOf(local)}`);
  }

  /** Restores the sockets that are being looked at, should we die meanwhile. */
  readonly guard = (): Guard => (this.#guard ??= this.#objects.keep(new Guard(x86_64.code.spawn)));
}

const SOL_SOCKET = 1;
const SO_LINGER = 13;
const resetAtClose = Uint8Array.from([1, 0, 0, 0, 0, 0, 0, 0]); // struct linger: on, 0 seconds

export function duplicate({ pid, fd }: Place): number | undefined {
  using process = new PidFd(pid);
  const own = process.duplicate(fd);
  return own < 0 ? undefined : own;
}

function placesOf(pid: number, { fd, link }: FdLink): [number, Place][] {
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
  return inode === undefined ? [] : [[Number(inode), { pid, fd }]];
}

const snapshots = new WeakMap<ObjectTable, SocketSnapshot>();

export function snapshotOf(objects: ObjectTable): SocketSnapshot {
  let snapshot = snapshots.get(objects);
  if (snapshot === undefined) snapshots.set(objects, (snapshot = new SocketSnapshot(objects)));
  return snapshot;
}

type Looked = Pick<Collection, 'pid' | 'objects'>;

/** Works on our duplicate of a target's socket: on the very socket that the target has. */
export function withDuplicate<T>({ pid, objects }: Looked, file: OpenFile, work: (fd: number) => T): T {
  const fd = snapshotOf(objects).process(pid).duplicate(file.fd);
  if (fd < 0) throw syscallError('pidfd_getfd', fd, `Cannot look at descriptor ${file.fd} of ${pid}`);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}

/** Numbers as socket takes them. */
export interface Sort {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
}

/** What sort of socket a descriptor leads to; undefined when it is none. */
export function sortOf(collection: Looked, file: OpenFile): Sort | undefined {
  if (!fileType.isSocket(file.stat)) return undefined;
  const { sorts } = snapshotOf(collection.objects);
  let sort = sorts.get(file.stat.ino);
  if (sort === undefined) {
    sort = withDuplicate(collection, file, (fd) => {
      const value = (option: number): number => getInt(fd, SOL_SOCKET, option) ?? 0;
      const [SO_TYPE, SO_PROTOCOL, SO_DOMAIN] = [3, 38, 39];
      return { family: value(SO_DOMAIN), type: value(SO_TYPE), protocol: value(SO_PROTOCOL) };
    });
    sorts.set(file.stat.ino, sort);
  }
  return sort;
}
