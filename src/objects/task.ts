/** A process: what it executes, and its plain attributes. Everything else nests inside, its threads last. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readComm, readPersonality } from '../linux/proc/values.ts';
import { assertUnchanged, fileOf } from './file.ts';
import type { Collection, ObjectKind, Rebuild } from './object.ts';

export interface Task {
  readonly pid: number;
  /** The name of its leader, for people. */
  readonly comm: string;
  readonly personality: number;
  readonly dumpable: number;
  /** It was stopped (SIGSTOP, ^Z) and comes back stopped. */
  readonly stopped: boolean;
  /** checkpoint and restart were served to it, under stasis run. */
  readonly systemCalls: boolean;
}

const record: RecordKind<Task> = defineKind<Task>({
  tag: 0x11,
  name: 'task',
  container: true,
  parents: ['image'],
  title: (value) => `${value.comm} (${value.pid})`,
  schema: s.record({
    pid: s.uint(0x7fff_ffff),
    comm: s.text(64),
    personality: s.hex(s.uint(0xffff_ffff)),
    dumpable: s.uint(2),
    stopped: s.bool(),
    systemCalls: s.bool(),
  }),
});

const PR_GET_DUMPABLE = 3;
const PR_SET_DUMPABLE = 4;

export function collectTask(collection: Collection, stopped: boolean, systemCalls: boolean): Task {
  const { pid, injector } = collection;
  return {
    pid,
    comm: Buffer.from(readComm(pid)).toString(),
    personality: readPersonality(pid),
    dumpable: Number(injector.mustCall('prctl', [PR_GET_DUMPABLE, 0, 0, 0, 0])),
    stopped,
    systemCalls,
  };
}

export const task: ObjectKind<Task> = {
  record,
  title: 'Task',
  carried: 'Personality, dumpable, stopped state.',
  refused: 'Children; traced tasks; other namespaces.',

  restart(value, rebuild) {
    rebuild.finals.pid = value.pid;
    rebuild.finals.stopped = value.stopped;
    rebuild.finals.systemCalls = value.systemCalls;
    rebuild.finals.calls.push(() => {
      const { batch } = rebuild;
      batch.add('set the personality', 'personality', [value.personality]);
      // 2 (readable by root only) is the kernel's own to give
      if (value.dumpable < 2)
        rebuild.finals.lastCalls.push(() => batch.add('set dumpable', 'prctl', [PR_SET_DUMPABLE, value.dumpable, 0, 0, 0]));
    });
  },
};

export interface Executable {
  /** objref of the file, or of its content when it was deleted. */
  readonly file: number;
  /** The task is forked from its parent, whose memory it still shares, and executes nothing. */
  readonly inherited?: boolean | undefined;
}

const executableRecord: RecordKind<Executable> = defineKind<Executable>({
  tag: 0x12,
  name: 'executable',
  parents: ['task'],
  schema: s.record({ file: s.objref('file', 'shared-memory'), inherited: s.optional(s.bool()) }),
});

/** Of a program file that was deleted: where its content is now, in this process. */
function contentPath(rebuild: Rebuild, objref: number): string | undefined {
  const described = rebuild.described.get(objref) as { fd?: number } | undefined;
  return described?.fd === undefined ? undefined : `/proc/${process.pid}/fd/${described.fd}`;
}

/** What /proc/PID/exe names. A restart begins by executing it, so that the kernel knows the program as what it is. */
export const executable: ObjectKind<Executable> = {
  record: executableRecord,
  title: 'Executable',
  carried:
    'Path and identity of the program file, which must be unchanged at restart. The content of one that was deleted or replaced while it ran.',
  refused: '',
  restart(value, rebuild) {
    const path = contentPath(rebuild, value.file) ?? fileOf(rebuild, value.file).path;
    if (contentPath(rebuild, value.file) === undefined) {
      assertUnchanged(fileOf(rebuild, value.file), rebuild.acceptChangedFiles);
      rebuild.checkedFiles.add(path);
    }
    if (value.inherited === true) rebuild.inherit();
    else rebuild.execute(path);
  },
};
