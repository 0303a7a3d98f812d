/** Working directory and file mode creation mask. Source: man 7 path_resolution, man 2 umask. */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readCwd, readRoot } from '../linux/proc/links.ts';
import { statPath } from './path-stat.ts';
import type { Collection, ObjectKind } from './object.ts';

export interface FsContext {
  readonly workingDirectory: string;
  readonly umask: number;
}

const record: RecordKind<FsContext> = defineKind<FsContext>({
  tag: 0x32,
  name: 'fs',
  parents: ['task'],
  schema: s.record({ workingDirectory: s.text(4096), umask: s.uint(0o777) }),
});

export function collectFs({ pid, status, blockers }: Collection): FsContext {
  const cwd = readCwd(pid);
  const root = readRoot(pid);
  const ownRoot = readRoot(process.pid);
  if (cwd === undefined || cwd.deleted) {
    blockers.push({
      object: 'cwd',
      place: cwd?.path ?? '',
      reason: 'its working directory was deleted',
      remedy: 'Let the program change to a directory that exists',
    });
  }
  if (root === undefined || root.path !== ownRoot?.path) {
    blockers.push({
      object: 'root',
      place: root?.path ?? '',
      reason: 'its root directory is not ours (chroot)',
      remedy: 'Run stasis inside the same root',
    });
  }
  return { workingDirectory: cwd?.path ?? '/', umask: status.umask ?? 0o22 };
}

export const fs: ObjectKind<FsContext> = {
  record,
  title: 'Working directory and umask',
  carried: 'Path of the working directory, umask.',
  refused: 'A deleted working directory; another root directory (chroot).',
  restart(value, rebuild) {
    const stat = statPath(value.workingDirectory);
    if (stat?.isDirectory() !== true) {
      throw new StasisError('RESTART_FAILED', `Cannot change to ${value.workingDirectory}: there is no such directory here`, {
        phase: 'restore',
        hint: 'Make the directory, then restart again.',
      });
    }
    rebuild.finals.calls.push(() => {
      rebuild.room(2, value.workingDirectory.length * 3 + 64);
      const { batch } = rebuild;
      batch.add(`change to ${value.workingDirectory}`, 'chdir', [batch.text(value.workingDirectory)]);
      batch.add('set the umask', 'umask', [value.umask]);
    });
  },
};
