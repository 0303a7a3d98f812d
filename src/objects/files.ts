/** The descriptor table: which number stands for which open file. Source: man 2 open, man 2 dup, man 2 kcmp. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readProcLinkIfPresent } from '../linux/proc/read.ts';
import { collectControllingTerminal } from './controlling-terminal.ts';
import { collectLocks, refuseLocks } from './file-lock.ts';
import { readOpenFile } from './file-tables.ts';
import { fdBlocker, fileType, isCloseOnExec, type OpenFile, type OpenFileKind } from './open-file.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';

export interface Files {
  /** The highest descriptor, -1 when there is none. */
  readonly highest: number;
}

const record: RecordKind<Files> = defineKind<Files>({
  tag: 0x50,
  name: 'files',
  container: true,
  parents: ['task'],
  schema: s.record({ highest: s.int() }),
});

export interface Descriptor {
  readonly fd: number;
  readonly closeOnExec: boolean;
  /** objref of the open file; descriptors with the same one share position and flags. */
  readonly description: number;
}

const descriptorRecord: RecordKind<Descriptor> = defineKind<Descriptor>({
  tag: 0x5f,
  name: 'fd',
  parents: ['files'],
  title: (value) => `${value.fd} -> #${value.description}`,
  schema: s.record({ fd: s.uint(0x7fff_ffff), closeOnExec: s.bool(), description: s.objref() }),
});

/** All descriptors of the target; `kinds` are asked in their order. */
export function collectFiles(collection: Collection, kinds: readonly OpenFileKind[]): ImageNode {
  const { pid, objects } = collection;
  const table = objects.files.of(pid);
  const children: ImageNode[] = [];
  const whole: Collection = { ...collection, carryOwn: (fd) => carryOwn(fd, collection, kinds) };
  const met = new Set<number>();
  for (const file of table) {
    const found = carry(file, table, whole, kinds);
    if (found === undefined) continue;
    const closeOnExec = isCloseOnExec(file.info);
    children.push(...found.nodes, node(descriptorRecord, { fd: file.fd, closeOnExec, description: found.objref }));
    if (!met.has(found.objref)) children.push(...collectLocks(file, found.objref, collection));
    met.add(found.objref);
  }
  for (const resolve of objects.pending) {
    const resolved = resolve();
    if (resolved === undefined) continue;
    children.push(resolved);
    objects.pending.delete(resolve);
  }
  children.push(...collectControllingTerminal(collection));
  return node(record, { highest: table.at(-1)?.fd ?? -1 }, { children });
}

interface Carried {
  readonly objref: number;
  /** What has not been described yet. */
  readonly nodes: readonly ImageNode[];
}

function carry(
  file: OpenFile,
  table: readonly OpenFile[],
  collection: Collection,
  kinds: readonly OpenFileKind[],
): Carried | undefined {
  let nodes: readonly ImageNode[] = [];
  const objref = collection.objects.descriptions.refer(collection.pid, file, () => {
    const found = describe(file, table, collection, kinds);
    nodes = found?.nodes ?? [];
    return found?.objref;
  });
  return objref === undefined ? undefined : { objref, nodes };
}

/** A description of which we have a descriptor ourselves: that is the one to look at. */
function carryOwn(fd: number, collection: Collection, kinds: readonly OpenFileKind[]): Carried | undefined {
  const own: Collection = { ...collection, pid: process.pid, carryOwn: (other) => carryOwn(other, collection, kinds) };
  const file = readOpenFile(process.pid, { fd, link: readProcLinkIfPresent(process.pid, `fd/${fd}`) ?? '' });
  if (file !== undefined) refuseLocks(file, collection);
  return file === undefined ? undefined : carry(file, [file], own, kinds);
}

function describe(
  file: OpenFile,
  table: readonly OpenFile[],
  collection: Collection,
  kinds: readonly OpenFileKind[],
): Carried | undefined {
  const O_ASYNC = 0o20000;
  const refuse = (what: string): undefined => {
    const remedy = 'Let the program close it, or start the program without it';
    collection.blockers.push(fdBlocker(file, `${what} not supported yet`, remedy));
  };
  const kind = kinds.find((candidate) => candidate.recognise(file, table, collection));
  if (kind === undefined) return refuse(`${nameOf(file)} are`);
  const objref = collection.objects.next();
  const nodes = kind.collect(file, objref, table, collection);
  if (!Array.isArray(nodes)) {
    collection.blockers.push(nodes);
    return undefined;
  }
  const isLeased = file.info.locks.some((lock) => lock.includes('LEASE')); // which sets O_ASYNC by itself
  if ((file.info.flags & O_ASYNC) !== 0 && !isLeased) return refuse('descriptors that send signals (O_ASYNC) are');
  return { nodes, objref };
}

/** What people call the file. Source: fs/anon_inodes.c and its callers. */
function nameOf({ link, stat }: OpenFile): string {
  const anonymous = /^anon_inode:\[?([^\]]*)\]?$/.exec(link)?.[1];
  if (anonymous !== undefined) return `${{ eventpoll: 'epoll' }[anonymous] ?? anonymous} descriptors`;
  if (fileType.isSocket(stat)) return 'sockets';
  if (fileType.isFifo(stat)) return 'pipes whose other end is with another program';
  if (link.startsWith('/memfd:')) return 'memfd files';
  if (fileType.isCharacterDevice(stat)) return 'devices of this kind';
  return 'open files of this kind';
}

export const files: ObjectKind<Files> = {
  record,
  title: 'Descriptor table',
  carried: 'Numbers, close-on-exec, which descriptors share an open file.',
  refused: 'Every kind of open file that is not listed here.',
};

export const descriptor: ObjectKind<Descriptor> = {
  record: descriptorRecord,
  title: 'Descriptor',
  carried: 'Number, close-on-exec, its open file.',
  refused: '',
  restart: (value, rebuild) => rebuild.descriptors.assign(value.fd, value.description, value.closeOnExec),
};
