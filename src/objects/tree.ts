/**
 * How the processes of an image are related: parents, sessions, process groups, and those that have ended and wait for
 * their parent. It stands before the tasks, because a restart must make some processes before their parent is whole.
 * Source: man 7 credentials, man 2 setsid, man 2 setpgid, man 2 wait.
 */
import { defineKind, topLevel, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { signalMask } from '../linux/signals.ts';
import type { Status } from '../linux/proc/status.ts';
import type { Stat } from '../linux/proc/stat.ts';
import type { ObjectKind } from './object.ts';

export interface Member {
  readonly pid: number;
  /** Of the first member: of a process outside. */
  readonly parent: number;
  /** May be the number of a process that is no member (any more), like {@link session}. */
  readonly group: number;
  readonly session: number;
  /** What its parent gets at its end; usually SIGCHLD. */
  readonly exitSignal: number;
  /** Ids of its other threads: a restart that is to give all ids back must know them before it makes anything. */
  readonly tids?: readonly number[] | undefined;
  /** A shell with job control: it remembers the number of its group, to give it the terminal. */
  readonly jobControl?: boolean | undefined;
  /** Of one that has ended: as wait tells it. It has no task record. */
  readonly exitStatus?: number | undefined;
  /** The name of one that has ended. */
  readonly comm?: string | undefined;
}

export interface Tree {
  /** The root first, parents before their children. */
  readonly members: readonly Member[];
}

const id = s.uint(0x7fff_ffff);

const record: RecordKind<Tree> = defineKind<Tree>({
  tag: 0x14,
  name: 'tree',
  parents: [topLevel],
  schema: s.record({
    members: s.array(
      s.record({
        pid: id,
        parent: id,
        group: id,
        session: id,
        exitSignal: s.uint(64),
        tids: s.optional(s.array(id, 1 << 22)),
        jobControl: s.optional(s.bool()),
        exitStatus: s.optional(s.uint(0xffff)),
        comm: s.optional(s.text(64)),
      }),
      1 << 20,
    ),
  }),
});

interface Found {
  readonly stat: Stat;
  readonly status: Status;
  readonly tids: readonly number[];
}

/** Shells with job control are not to be stopped by their own terminal. */
const SIGTSTP = 20;
const SIGTTOU = 22;
const ignoredByShells = signalMask(SIGTSTP, SIGTTOU);

function hasJobControl({ stat, status }: Found): boolean {
  return stat.tty_nr !== 0 && stat.pid === stat.pgrp && (status.sigIgn & ignoredByShells) === ignoredByShells;
}

export function collectTree(processes: readonly Found[], zombies: readonly Stat[]): Tree {
  const member = ({ pid, ppid, pgrp, sid, exit_signal }: Stat): Member => ({
    pid,
    parent: ppid,
    group: pgrp,
    session: sid,
    exitSignal: Math.max(0, exit_signal),
  });
  return {
    members: [
      ...processes.map((found) => ({
        ...member(found.stat),
        ...(found.tids.length > 0 && { tids: found.tids }),
        ...(hasJobControl(found) && { jobControl: true }),
      })),
      ...zombies.map((stat) => ({ ...member(stat), exitStatus: stat.exit_code, comm: stat.comm })),
    ],
  };
}

export const tree: ObjectKind<Tree> = {
  record,
  title: 'Process tree',
  carried: 'Parents and children, sessions, process groups, processes that have ended and wait for their parent.',
  refused: 'Processes that share memory or other things without being threads.',
};
