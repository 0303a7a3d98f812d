/** Root and working directory, and file mode creation mask. Source: man 7 path_resolution, man 2 chroot, man 2 umask. */
import { mkdirSync, rmdirSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { codeOf } from '../linux/node-error.ts';
import { readProcLinkBytesIfPresent, statProcIfPresent } from '../linux/proc/read.ts';
import { parentOf, pathFields, pathForTask, pathName, toPath, withoutDeleted, type PathName } from './path-name.ts';
import { statPath } from './path-stat.ts';
import type { Collection, ObjectKind, Rebuild } from './object.ts';

export interface FsContext {
  readonly workingDirectory: string;
  /** The path as it is, where it is not UTF-8. */
  readonly workingDirectoryBytes?: Uint8Array | undefined;
  /** It was deleted: only the place is meant. */
  readonly deleted?: boolean | undefined;
  /** Absent when it is that of everybody. */
  readonly root?: PathName | undefined;
  readonly umask: number;
}

const record: RecordKind<FsContext> = defineKind<FsContext>({
  tag: 0x32,
  name: 'fs',
  parents: ['task'],
  schema: s.record({
    workingDirectory: pathFields.path,
    workingDirectoryBytes: pathFields.pathBytes,
    deleted: s.optional(s.bool()),
    root: s.optional(s.record(pathFields)),
    umask: s.uint(0o777),
  }),
});

export function collectFs({ pid, status, blockers }: Collection): FsContext {
  const umask = status.umask ?? 0o22;
  const root = link(pid, 'root', blockers);
  const hasOwnRoot = root.path === '/' || isOurRoot(pid);
  const cwd = link(pid, 'cwd', blockers);
  const former = withoutDeleted(cwd);
  const deleted = former !== undefined && statProcIfPresent(pid, 'cwd')?.nlink === 0n;
  const { path, pathBytes } = deleted ? former : cwd;
  return {
    workingDirectory: path,
    ...(pathBytes !== undefined && { workingDirectoryBytes: pathBytes }),
    umask,
    ...(deleted && { deleted }),
    ...(!hasOwnRoot && { root }),
  };
}

function isOurRoot(pid: number): boolean {
  const [theirs, ours] = [statProcIfPresent(pid, 'root'), statPath('/')];
  return theirs !== undefined && theirs.ino === ours?.ino && theirs.dev === ours.dev;
}

function link(pid: number, name: 'root' | 'cwd', blockers: Collection['blockers']): PathName {
  const bytes = readProcLinkBytesIfPresent(pid, name);
  const path = pathName(bytes ?? '');
  // A directory that we cannot reach from our own root is shown as (unreachable)/… (man 5 proc_pid_cwd).
  if (!path.path.startsWith('/')) {
    const remedy = 'Run stasis where the program sees its files (nsenter, chroot)';
    blockers.push({ object: name, place: path.path, reason: 'the directory cannot be reached from here', remedy });
  }
  return path;
}

export const fs: ObjectKind<FsContext> = {
  record,
  title: 'Root and working directory, umask',
  carried: 'Paths of the working directory (also a deleted one) and of another root (chroot), umask.',
  refused: 'Directories that cannot be reached from the root of stasis. Another root takes CAP_SYS_CHROOT at restart.',

  restart(value, rebuild) {
    const workingDirectory = { path: value.workingDirectory, pathBytes: value.workingDirectoryBytes };
    const { root } = value;
    for (const name of [...(value.deleted === true ? [] : [workingDirectory]), ...(root === undefined ? [] : [root])])
      assertDirectory(name);
    rebuild.finals.calls.push(() => {
      rebuild.room(3, 2 * 4096 + 64);
      if (value.deleted === true) changeToDeleted(workingDirectory, rebuild);
      else changeTo(workingDirectory, rebuild);
      const { batch } = rebuild;
      if (root !== undefined) batch.add(`change the root directory to ${root.path}`, 'chroot', [batch.data(pathForTask(root))]);
      batch.add('set the umask', 'umask', [value.umask]);
    });
  },
};

function assertDirectory(name: PathName): void {
  if (statPath(toPath(name))?.isDirectory() === true) return;
  throw new StasisError('RESTART_FAILED', `Cannot change to ${name.path}: there is no such directory here`, {
    phase: 'restore',
    hint: 'Make the directory, then restart again.',
  });
}

function changeTo(name: PathName, { batch }: Rebuild): void {
  batch.add(`change to ${name.path}`, 'chdir', [batch.data(pathForTask(name))]);
}

/** A directory is made for the task to go into, and deleted again. */
function changeToDeleted(former: PathName, rebuild: Rebuild): void {
  const made = makeNear(former);
  try {
    changeTo(made, rebuild);
    rebuild.flush();
  } finally {
    rmdirSync(toPath(made));
  }
  rebuild.room(3, 4096 + 64);
}

/** Beside where the deleted directory was, or in the nearest directory above that is still there. */
function makeNear(former: PathName): PathName {
  for (let parent = parentOf(former); ; parent = parentOf(parent)) {
    const made = pathName(Buffer.concat([Buffer.from(toPath(parent)), Buffer.from(`/.stasis-${process.pid}-${Date.now()}`)]));
    try {
      mkdirSync(toPath(made), 0o700);
      return made;
    } catch (error) {
      if (codeOf(error) === 'ENOENT' && parent.path !== '/') continue;
      throw new StasisError('RESTART_FAILED', `Cannot make a directory in the place of ${former.path}, which was deleted`, {
        phase: 'restore',
        cause: error,
        hint: 'Restart as a user who may write there.',
      });
    }
  }
}
