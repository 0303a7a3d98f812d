/** Who gets a signal when an open file is ready. Source: man 2 fcntl (F_SETOWN_EX, F_SETSIG, O_ASYNC), fs/fcntl.c. */
import { existsSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { f_owner_ex } from '../linux/abi/fcntl.ts';
import { borrow } from '../linux/descriptors.ts';
import { LocalMemory, mustSyscall } from '../linux/ffi.ts';
import { fdBlocker, fileType, O_ASYNC, settable, type OpenFile } from './open-file.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';

const types = ['thread', 'process', 'group'] as const;

export interface FileOwner {
  /** objref of the open file. */
  readonly file: number;
  readonly type: (typeof types)[number];
  /** Its id at the checkpoint. */
  readonly owner: number;
  /** 0: SIGIO, without a word about the descriptor. */
  readonly signal: number;
  /** Status flags, with O_ASYNC or not. */
  readonly flags: number;
}

const record: RecordKind<FileOwner> = defineKind<FileOwner>({
  tag: 0x6c,
  name: 'file-owner',
  parents: ['files'],
  title: ({ file, type, owner }) => `#${file} signals ${type} ${owner}`,
  schema: s.record({
    file: s.objref(),
    type: s.oneOf(...types),
    owner: s.uint(0x7fff_ffff),
    signal: s.uint(64),
    flags: s.hex(s.uint(0xffff_ffff)),
  }),
});

const F_SETFL = 4;
const F_SETSIG = 10;
const F_GETSIG = 11;
const F_SETOWN_EX = 15;
const F_GETOWN_EX = 16;

/** Asked for where it matters: files that signal, and sockets, which tell of urgent data without O_ASYNC. */
export function collectOwner(file: OpenFile, objref: number, collection: Collection): ImageNode[] {
  const { flags, locks } = file.info;
  const isLeased = locks.some((lock) => lock.includes('LEASE')); // which sets O_ASYNC by itself
  const signals = (flags & O_ASYNC) !== 0 && !isLeased;
  if (!signals && !fileType.isSocket(file.stat)) return [];
  const { type, owner, signal } = borrow({ pid: collection.pid, fd: file.fd }, ownerOf);
  if (owner === 0 && !signals && signal === 0) return [];
  if (owner !== 0 && !isInside(owner, type, collection)) {
    const remedy = 'Let the program call fcntl(fd, F_SETOWN, 0)';
    collection.blockers.push(fdBlocker(file, `it signals ${type} ${owner}, which is not part of the checkpoint`, remedy));
    return [];
  }
  return [node(record, { file: objref, type, owner, signal, flags: flags & (settable | O_ASYNC) })];
}

function ownerOf(fd: number): Pick<FileOwner, 'type' | 'owner' | 'signal'> {
  const memory = LocalMemory.scratch('f_owner_ex', f_owner_ex.size);
  mustSyscall('fcntl', 'Cannot ask for the owner of a descriptor', fd, F_GETOWN_EX, memory.address);
  const { type, pid } = f_owner_ex.read(memory.view);
  const signal = mustSyscall('fcntl', 'Cannot ask for the signal of a descriptor', fd, F_GETSIG);
  return { type: types[type] ?? 'process', owner: pid, signal };
}

function isInside(owner: number, type: FileOwner['type'], { objects }: Collection): boolean {
  if (type !== 'thread') return objects.processes.includes(owner);
  return objects.processes.some((pid) => existsSync(`/proc/${pid}/task/${owner}`));
}

export const fileOwner: ObjectKind<FileOwner> = {
  record,
  title: 'Owner of an open file',
  carried: 'F_SETOWN, F_SETSIG, O_ASYNC.',
  refused: 'Owners that are not part of the checkpoint; groups whose leader is not.',

  /** By the task itself when it has its user again: the kernel notes whose signal it will be. */
  restart({ file, type, owner, signal, flags }, rebuild) {
    rebuild.finals.lastCalls.push(() => {
      const fd = rebuild.descriptors.numberOf(file);
      if (fd === undefined)
        return void rebuild.notes.push('A descriptor under way between processes has lost its owner (F_SETOWN).');
      rebuild.room(3, 64);
      const { batch } = rebuild;
      if (signal !== 0) batch.add('set the signal of a descriptor', 'fcntl', [fd, F_SETSIG, signal]);
      const value = f_owner_ex.make({ type: types.indexOf(type), pid: rebuild.ids.get(owner) ?? 0 });
      if (owner !== 0) batch.add('set the owner of a descriptor', 'fcntl', [fd, F_SETOWN_EX, batch.data(value)]);
      if ((flags & O_ASYNC) !== 0) batch.add('let a descriptor signal', 'fcntl', [fd, F_SETFL, flags]);
    });
  },
};
