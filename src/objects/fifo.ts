/** FIFOs: pipes with a path. Source: man 7 fifo. */
import { closeSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { openLocally } from './local-descriptors.ts';
import { accessMode, fdBlocker, fileType, O_NONBLOCK, reopenFlags, setStatusFlags, type OpenFileKind } from './open-file.ts';
import { node, type ObjectKind, type Rebuild } from './object.ts';
import { fillPipe, pipeContent, waitingIn, type PipeContent } from './pipe-content.ts';
import { collectOpening, isWhole } from './pipe.ts';
import { statPath } from './path-stat.ts';

const O_RDWR = 2;

export interface Fifo {
  readonly path: string;
  /** Of the FIFO as it was; nothing is under way when whoever reads it is elsewhere. */
  readonly content: PipeContent;
}

const record: RecordKind<Fifo> = defineKind<Fifo>({
  tag: 0x62,
  name: 'fifo',
  parents: ['files'],
  title: ({ path }) => path,
  schema: s.record({ path: s.text(4096), content: pipeContent }),
});

export interface OpenFifo {
  /** objref of the FIFO. */
  readonly fifo: number;
  readonly flags: number;
}

const openRecord: RecordKind<OpenFifo> = defineKind<OpenFifo>({
  tag: 0x63,
  name: 'open-fifo',
  parents: ['files'],
  title: ({ fifo: number, flags }) => `${['reads', 'writes', 'reads and writes'][accessMode(flags)] ?? ''} #${number}`,
  schema: s.record({ fifo: s.objref('fifo'), flags: s.hex(s.uint(0xffff_ffff)) }),
});

export const fifo: ObjectKind<Fifo> = {
  record,
  title: 'FIFO',
  carried: 'Path, capacity, bytes under way to a reader in the program.',
  refused: 'Deleted FIFOs.',

  restart({ path, content }, rebuild, { objref }) {
    if (statPath(path)?.isFIFO() !== true)
      throw new StasisError('RESTART_FAILED', `Cannot open the FIFO ${path}: it does not exist here`, { phase: 'restore' });
    rebuild.described.set(objref, { path, fill: () => fill(path, content, rebuild) } satisfies NewFifo);
  },
};

interface NewFifo {
  readonly path: string;
  fill: (() => number) | undefined;
}

export const openFifo: ObjectKind<OpenFifo> & OpenFileKind = {
  record: openRecord,
  title: 'Open FIFO',
  carried: 'Read end, write end or both; status flags. Whoever has the other end outside is met again under its path.',
  refused: '',

  recognise: (file, _table, collection) =>
    fileType.isFifo(file.stat) && file.link.startsWith('/') && (file.fd > 2 || isWhole(file, collection)),

  collect(file, objref, _table, collection) {
    if (statPath(file.link)?.ino !== file.stat.ino)
      return fdBlocker(file, 'the FIFO was deleted', 'Let the program close it, or use a pipe');
    return collectOpening(
      file,
      collection,
      (number, content) => node(record, { path: file.link, content }, { objref: number }),
      (number) => node(openRecord, { fifo: number, flags: file.info.flags }, { objref }),
    );
  },

  restart({ fifo: number, flags }, rebuild, { objref }) {
    const target = rebuild.described.get(number) as NewFifo;
    rebuild.descriptors.add(objref, () => {
      // While we have both ends, opening one does not wait, and what is under way stays.
      if (target.fill !== undefined) rebuild.locals.keep(target.fill());
      target.fill = undefined;
      const fd = openLocally(target.path, reopenFlags(flags) | O_NONBLOCK);
      setStatusFlags(fd, flags);
      return fd;
    });
  },
};

function fill(path: string, content: PipeContent, rebuild: Rebuild): number {
  const anchor = openLocally(path, O_RDWR | O_NONBLOCK);
  if (content.pieces.length > 0 && waitingIn(anchor) > 0) {
    closeSync(anchor);
    const hint = 'End whoever uses it, also the program itself where it still runs, or let them empty it.';
    throw new StasisError('RESTART_FAILED', `Cannot refill the FIFO ${path}: something else is in it`, {
      phase: 'restore',
      hint,
    });
  }
  if (!fillPipe(anchor, content)) rebuild.notes.push(`The FIFO ${path} is smaller than ${content.capacity} bytes.`);
  return anchor;
}
