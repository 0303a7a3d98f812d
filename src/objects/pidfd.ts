/** Descriptors that stand for a process or a thread. Source: man 2 pidfd_open, fs/pidfs.c (pidfd_show_fdinfo). */
import { existsSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readStat } from '../linux/proc/stat.ts';
import { makeChild } from '../tracee/make-child.ts';
import { numberField } from './fdinfo-fields.ts';
import { localCall } from './local-descriptors.ts';
import { fdBlocker, setStatusFlags, type OpenFileKind } from './open-file.ts';
import { node, type Collection, type ObjectKind, type Rebuild } from './object.ts';

export interface ProcessFd {
  /** The process or thread; 0 when it has ended and its parent has been told. */
  readonly target: number;
  readonly flags: number;
}

const record: RecordKind<ProcessFd> = defineKind<ProcessFd>({
  tag: 0x69,
  name: 'pidfd',
  parents: ['files'],
  title: ({ target }) => (target === 0 ? 'a process that is gone' : `process ${target}`),
  schema: s.record({ target: s.uint(0x7fff_ffff), flags: s.hex(s.uint(0xffff_ffff)) }),
});

/** PIDFD_THREAD, which is O_EXCL. */
const PIDFD_THREAD = 0o200;
const CLONE_VM = 0x100;
const WALL = 0x40000000;

/** A process of the image, one of its threads, or a child of one that has ended and was not waited for. */
function isInside(target: number, { objects }: Collection): boolean {
  if (objects.processes.includes(target)) return true;
  if (objects.processes.some((pid) => existsSync(`/proc/${pid}/task/${target}`))) return true;
  const { state, ppid } = readStat(target);
  return state === 'Z' && objects.processes.includes(ppid);
}

export const pidFd: ObjectKind<ProcessFd> & OpenFileKind = {
  record,
  title: 'pidfd',
  carried: 'Processes and threads of the program, also those that have ended; status flags.',
  refused: 'Other processes.',

  recognise: ({ link }) => link === 'anon_inode:[pidfd]',

  collect(file, objref, _table, collection) {
    const pid = numberField(file.info.lines, 'Pid') ?? -1;
    const target = pid > 0 ? pid : 0;
    if (pid === 0 || (target > 0 && !isInside(target, collection))) {
      const place = pid === 0 ? 'a process of another pid namespace' : `process ${pid}`;
      return fdBlocker(file, `it stands for ${place}, which is not part of the checkpoint`, 'Let the program close it');
    }
    return [node(record, { target, flags: file.info.flags }, { objref })];
  },

  restart({ target, flags }, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const fd = target === 0 ? openEnded(rebuild) : open(rebuild.ids.get(target), flags & PIDFD_THREAD, target);
      setStatusFlags(fd, flags);
      return fd;
    });
  },
};

function open(id: number | undefined, flags: number, former: number): number {
  if (id === undefined) throw new StasisError('IMAGE', `The image holds a pidfd of process ${former}, but not that process`);
  return localCall(`open process ${id}`, 'pidfd_open', [id, flags]);
}

/** Of a child that ends at once and is waited for; no SIGCHLD tells of it. */
function openEnded(rebuild: Rebuild): number {
  rebuild.flush();
  const { tracee } = makeChild(rebuild.area, { flags: CLONE_VM, exitSignal: 0, wanted: undefined });
  const fd = open(tracee.tid, 0, 0);
  tracee.kill();
  rebuild.batch.add('wait for a process', 'wait4', [tracee.tid, 0, WALL, 0]);
  rebuild.flush();
  return fd;
}
