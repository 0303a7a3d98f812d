/** What a checkpoint knows of sockets beyond a single one: all those of the system, and which of them the tree has. */
import { closeSync } from 'node:fs';
import { x86_64 } from '../arch/x86_64.ts';
import { PidFd } from '../linux/descriptors.ts';
import { syscallError } from '../linux/ffi.ts';
import { Guard } from '../linux/guard.ts';
import { readUnixSockets, type UnixSocket } from '../linux/sock-diag.ts';
import type { OpenFile } from './open-file.ts';
import type { ObjectTable } from './object-table.ts';

export class SocketSnapshot {
  readonly #objects: ObjectTable;
  #unix: ReadonlyMap<number, UnixSocket> | undefined;
  #inside: ReadonlySet<number> | undefined;
  #guard: Guard | undefined;
  /** Inodes of the sockets that are in the image. */
  readonly carried: Set<number> = new Set();

  constructor(objects: ObjectTable) {
    this.#objects = objects;
  }

  get unix(): ReadonlyMap<number, UnixSocket> {
    return (this.#unix ??= readUnixSockets());
  }

  /** Inodes of the sockets that a process of the tree has a descriptor of. */
  get inside(): ReadonlySet<number> {
    return (this.#inside ??= new Set(
      this.#objects.processes.flatMap((pid) => this.#objects.files.of(pid).flatMap(({ link }) => inodeOf(link))),
    ));
  }

  /** Restores the sockets that are being looked at, should we die meanwhile. */
  readonly guard = (): Guard => (this.#guard ??= this.#objects.keep(new Guard(x86_64.code.spawn)));
}

function inodeOf(link: string): number | [] {
  const inode = /^socket:\[(\d+)\]$/.exec(link)?.[1];
  return inode === undefined ? [] : Number(inode);
}

const snapshots = new WeakMap<ObjectTable, SocketSnapshot>();

export function snapshotOf(objects: ObjectTable): SocketSnapshot {
  let snapshot = snapshots.get(objects);
  if (snapshot === undefined) snapshots.set(objects, (snapshot = new SocketSnapshot(objects)));
  return snapshot;
}

/** Works on our duplicate of a target's socket: on the very socket that the target has. */
export function withDuplicate<T>(pid: number, file: OpenFile, work: (fd: number) => T): T {
  using process = new PidFd(pid);
  const fd = process.duplicate(file.fd);
  if (fd < 0) throw syscallError('pidfd_getfd', fd, `Cannot look at descriptor ${file.fd} of ${pid}`);
  try {
    return work(fd);
  } finally {
    closeSync(fd);
  }
}
