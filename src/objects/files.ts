/** The descriptor table: which number stands for which open file. Source: man 2 open, man 2 dup, man 2 kcmp. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readProcLinkIfPresent } from '../linux/proc/read.ts';
import { collectControllingTerminal } from './controlling-terminal.ts';
import { collectLocks, refuseLocks } from './file-lock.ts';
import { readOpenFile } from './file-tables.ts';
import { collectOwner } from './file-owner.ts';
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
  const kind = kinds.find((candidate) => candidate.recognise(file, table, collection));
  if (kind === undefined) {
    const { reason, remedy = 'Let the program close it, or start the program without it' } = refusal(file);
    collection.blockers.push(fdBlocker(file, reason, remedy));
    return undefined;
  }
  const objref = collection.objects.next();
  const nodes = kind.collect(file, objref, table, collection);
  if (!Array.isArray(nodes)) {
    collection.blockers.push(nodes);
    return undefined;
  }
  return { nodes: [...nodes, ...collectOwner(file, objref, collection)], objref };
}

/** Why nothing more than its name can be had of an anonymous file. Source: fs/anon_inodes.c and its callers. */
const reasons: Readonly<Record<string, string>> = {
  io_uring: 'the rings of io_uring are shared with the kernel, which does not let them be made again in the middle of their work',
  userfaultfd: 'a userfaultfd leads to memory whose faults the program itself serves',
  fanotify: 'fanotify descriptors are not supported yet',
  'landlock-ruleset': 'the rules of a landlock ruleset cannot be read',
  'seccomp notify': 'it decides about the system calls of another program',
  perf_event: 'it counts events of the hardware',
};

function refusal({ link, stat }: OpenFile): { reason: string; remedy?: string } {
  const anonymous = /^anon_inode:\[?([^\]]*)\]?$/.exec(link)?.[1];
  if (anonymous !== undefined) {
    const reason =
      reasons[anonymous] ?? (anonymous.startsWith('bpf') ? 'bpf objects belong to the kernel as a whole' : undefined);
    return { reason: reason ?? `${anonymous} descriptors are not supported yet` };
  }
  if (fileType.isSocket(stat)) return { reason: 'sockets of this kind are not supported yet' };
  if (fileType.isFifo(stat)) {
    const remedy = 'Checkpoint both programs together, or let the program close it';
    return { reason: 'the other end of the pipe is with another program', remedy };
  }
  if (link.startsWith('/memfd:')) return { reason: 'memfd files of this kind are not supported yet' };
  if (fileType.isCharacterDevice(stat)) return { reason: 'devices of this kind are not supported yet' };
  return { reason: 'open files of this kind are not supported yet' };
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
