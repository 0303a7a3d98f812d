/** Pipes whose ends are in the program. Source: man 7 pipe, man 2 pipe. */
import { closeSync } from 'node:fs';
import type { Blocker } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { borrow, makePipe, type Place } from '../linux/descriptors.ts';
import { pollNow, POLLERR, POLLHUP } from '../linux/poll-now.ts';
import { openLocally } from './local-descriptors.ts';
import {
  accessMode,
  fdBlocker,
  fileType,
  O_DIRECT,
  O_NONBLOCK,
  reopenFlags,
  setStatusFlags,
  type OpenFile,
} from './open-file.ts';
import type { OpenFileKind } from './open-file.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';
import { capacityOf, fillPipe, maxContent, peek, pipeContent, waitingIn, type PipeContent } from './pipe-content.ts';

const O_RDONLY = 0;
const O_WRONLY = 1;

const record: RecordKind<PipeContent> = defineKind<PipeContent>({
  tag: 0x60,
  name: 'pipe',
  parents: ['files'],
  title: ({ capacity, pieces }) => `${pieces.reduce((sum, piece) => sum + piece.length, 0)} of ${capacity} bytes`,
  schema: pipeContent,
});

export interface OpenPipe {
  /** objref of the pipe. */
  readonly pipe: number;
  readonly flags: number;
}

const openRecord: RecordKind<OpenPipe> = defineKind<OpenPipe>({
  tag: 0x61,
  name: 'open-pipe',
  parents: ['files'],
  title: ({ pipe, flags }) => `${['reads', 'writes', 'reads and writes'][accessMode(flags)] ?? ''} #${pipe}`,
  schema: s.record({ pipe: s.objref('pipe'), flags: s.hex(s.uint(0xffff_ffff)) }),
});

/** What of a pipe is in the program: descriptors that can read from it, and such that can write to it. */
function endsOf(file: OpenFile, { objects }: Collection): { reader: Place | undefined; writers: readonly OpenFile[] } {
  const holders = objects.files.holders(file);
  return {
    reader: holders.find((holder) => accessMode(holder.file.info.flags) !== O_WRONLY),
    writers: holders.map((holder) => holder.file).filter(({ info }) => accessMode(info.flags) !== O_RDONLY),
  };
}

/** An end that has no other one any more can come back like that. For 1 and 2 the restart has a better one. */
function isAlone(file: OpenFile, { pid }: Collection): boolean {
  const reads = accessMode(file.info.flags) === O_RDONLY;
  if (!reads && (file.fd === 1 || file.fd === 2)) return false;
  return borrow({ pid, fd: file.fd }, (fd) => (pollNow(fd, 0) & (reads ? POLLHUP : POLLERR)) !== 0);
}

/** Somebody outside has it open too. */
function isShared({ stat }: OpenFile, { objects }: Collection): boolean {
  const holders = objects.choices.pipeHolders?.get(stat.ino) ?? [];
  return holders.some((pid) => pid !== process.pid && !objects.processes.includes(pid));
}

/** Both ends are in the program, or the other one is nowhere. */
export function isWhole(file: OpenFile, collection: Collection): boolean {
  const { reader, writers } = endsOf(file, collection);
  return (reader !== undefined && writers.length > 0 && !isShared(file, collection)) || isAlone(file, collection);
}

function contentOf(file: OpenFile, collection: Collection): PipeContent | Blocker {
  const { reader, writers } = endsOf(file, collection);
  const packets = writers.some(({ info }) => (info.flags & O_DIRECT) !== 0);
  return borrow(reader ?? { pid: collection.pid, fd: file.fd }, (fd) => {
    if (waitingIn(fd) > maxContent)
      return fdBlocker(file, `more than ${maxContent} bytes wait in the pipe`, 'Try again when the program has read from it');
    const pieces = reader === undefined ? [] : peek(fd);
    // More than one piece shows that there are packets, whatever the writers are set to now.
    return { capacity: capacityOf(fd), pieces, packets: packets || pieces.length > 1 };
  });
}

/** The record of the pipe or FIFO, when it is met for the first time, and the one of this opening of it. */
export function collectOpening(
  file: OpenFile,
  collection: Collection,
  describe: (objref: number, content: PipeContent) => ImageNode,
  opening: (pipe: number) => ImageNode,
): ImageNode[] | Blocker {
  const key = `pipe ${file.stat.dev} ${file.stat.ino}`;
  const known = collection.objects.find(key);
  if (known !== undefined) return [opening(known)];
  const content = contentOf(file, collection);
  if ('reason' in content) return content;
  const { objref, before } = collection.objects.refer(key, (number) => describe(number, content));
  return [...before, opening(objref)];
}

/** A pipe under restart, and the openings that it will have. */
interface NewPipe {
  readonly content: PipeContent;
  readonly openings: { readonly objref: number; readonly flags: number }[];
}

export const pipe: ObjectKind<PipeContent> = {
  record,
  title: 'Pipe',
  carried: 'Bytes under way, with the borders of packets; capacity.',
  refused: 'More than 8 MiB under way.',
  restart(content, rebuild, { objref }) {
    rebuild.described.set(objref, { content, openings: [] } satisfies NewPipe);
  },
};

export const openPipe: ObjectKind<OpenPipe> & OpenFileKind = {
  record: openRecord,
  title: 'End of a pipe',
  carried: 'Pipes with both ends in the program, or whose other end is closed; status flags; several openings of one end.',
  refused: 'Pipes with one end elsewhere, except standard streams.',

  recognise: (file, _table, collection) =>
    fileType.isFifo(file.stat) && file.link.startsWith('pipe:') && isWhole(file, collection),

  collect: (file, objref, _table, collection) =>
    collectOpening(
      file,
      collection,
      (number, content) => node(record, content, { objref: number }),
      (number) => node(openRecord, { pipe: number, flags: file.info.flags }, { objref }),
    ),

  restart({ pipe: number, flags }, rebuild, { objref }) {
    const target = rebuild.described.get(number) as NewPipe;
    target.openings.push({ objref, flags });
    rebuild.descriptors.add(objref, () => makeEnds(target, rebuild, objref));
  },
};

/** Makes the pipe with all its openings; the one of `wanted` is returned, the others wait to be asked for. */
function makeEnds({ content, openings }: NewPipe, rebuild: Rebuild, wanted: number): number {
  const [read, write] = makePipe();
  if (!fillPipe(write, content))
    rebuild.notes.push(`A pipe is smaller than ${content.capacity} bytes: more may not be had here.`);
  const free = new Map([
    [O_RDONLY, read],
    [O_WRONLY, write],
  ]);
  let result = -1;
  for (const { objref, flags } of openings) {
    const mode = accessMode(flags);
    const fd = free.get(mode) ?? openLocally(`/proc/self/fd/${read}`, reopenFlags(flags) | O_NONBLOCK);
    free.delete(mode);
    setStatusFlags(fd, flags);
    if (objref === wanted) result = fd;
    else rebuild.locals.put(objref, fd);
  }
  free.forEach((fd) => closeSync(fd));
  return result;
}
