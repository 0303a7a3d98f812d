/** A restart as a whole: what the processes of an image share while they are rebuilt, and the moment when all are let go. */
import { StasisError } from './errors.ts';
import { openBase } from './earlier-image.ts';
import type { Head } from './image/head.ts';
import { LocalDescriptors } from './objects/local-descriptors.ts';
import { Rollback } from './objects/rollback.ts';
import type { EarlierMemory, Surroundings } from './objects/object.ts';
import type { Tree } from './objects/tree.ts';
import { PageBuffers } from './objects/pages.ts';
import type { PidChoice } from './pid-choice.ts';
import { TaskRebuild, type Birth } from './rebuild.ts';
import { Family } from './rebuild-family.ts';
import { assertPidsFree } from './tracee/pids.ts';
import type { Tracee } from './tracee/tracee.ts';

export interface RebuildOptions {
  /** Makes the root process. */
  readonly birth: Birth;
  /** A copy of the root's memory that takes the place of the root instead (branch.ts), and its standard streams. */
  readonly adopt?: { readonly tracee: Tracee; readonly streams: ReadonlyMap<number, number> };
  readonly acceptChangedFiles: boolean;
  /** See RestartOptions. */
  readonly inherit?: Readonly<Record<number, number>>;
  /** Where to look for the base of the image. */
  readonly baseDirectories?: readonly string[];
  /** Default: 'keep'. */
  readonly pids?: PidChoice;
  readonly surroundings: Omit<Surroundings, 'inherited'>;
  /** The root is not ours to remove (yet) when the restart fails. */
  readonly keepOnFailure?: () => boolean;
}

export class ImageRebuild implements Disposable {
  readonly options: RebuildOptions;
  /** Descriptions met so far, by objref. */
  readonly described: Map<number, unknown> = new Map();
  readonly checkedFiles: Set<string> = new Set();
  readonly notes: string[] = [];
  readonly locals: LocalDescriptors = new LocalDescriptors();
  /** Where the bytes of pages arrive from the image. */
  readonly buffers: PageBuffers = new PageBuffers();
  /** Ends with the restart. */
  readonly kept: Disposable[] = [];
  /** Steps to take when all processes run. */
  readonly released: (() => void)[] = [];
  readonly rollback: Rollback = new Rollback(this.notes);
  /** The base of the image. */
  earlier: EarlierMemory | undefined;
  readonly #tasks: TaskRebuild[] = [];
  #family: Family | undefined;

  constructor(options: RebuildOptions) {
    this.options = options;
  }

  /** Before anything is made: the images on which this one is based. */
  findBase({ base }: Head): void {
    if (base === undefined) return;
    const image = openBase(base, { directories: this.options.baseDirectories ?? [] });
    this.earlier = image;
    this.kept.push(image);
  }

  /** How the processes to come are related. */
  beginTree(tree: Tree): void {
    if (this.#family !== undefined) throw new StasisError('IMAGE', 'The image holds a second tree');
    const same = this.options.pids === 'same';
    this.#family = new Family(tree, same);
    if (same) assertPidsFree(this.#family.ids);
  }

  get family(): Family {
    if (this.#family === undefined) throw new StasisError('IMAGE', 'The image holds a task before its tree');
    return this.#family;
  }

  /** The next process of the image. */
  beginTask(pid: number): void {
    const birth = this.#tasks.length === 0 ? this.options.birth : this.family.birth(pid);
    this.#tasks.push(new TaskRebuild(this, birth));
  }

  /** The process whose record is open, or was the last one. */
  get task(): TaskRebuild {
    const task = this.#tasks.at(-1);
    if (task === undefined) throw new StasisError('IMAGE', 'The image holds a record before the first task');
    return task;
  }

  /** Process ids by what they were at the checkpoint, of the processes made so far. */
  get processIds(): Map<number, number> {
    return new Map(this.#tasks.flatMap(({ finals, leader }) => (finals.pid === undefined ? [] : [[finals.pid, leader.tid]])));
  }

  isRoot(task: TaskRebuild): boolean {
    return this.#tasks[0] === task;
  }

  /** The process that the image was asked for; known once its program has been executed. */
  get rootPid(): number {
    return (this.#tasks[0] ?? this.task).leader.tid;
  }

  /** Of all processes and threads, by what they were. */
  get ids(): ReadonlyMap<number, number> {
    return new Map([...this.family.endedIds, ...this.#tasks.flatMap((task) => [...task.threadIds])]);
  }

  /** Everything has been read. No process runs before all are whole. */
  finish(): void {
    if (this.#tasks.length === 0) throw new StasisError('IMAGE', 'The image holds no task');
    this.rollback.commitAll();
    this.family.finish(this.notes);
    for (const task of this.#tasks) task.equip();
    for (const task of this.#tasks) task.complete();
    this.locals.finish();
    // Should we die now, all end, or all go on: in between are a few system calls for each.
    for (const task of this.#tasks) task.outlive();
    for (const task of this.#tasks) task.release();
    for (const step of this.released) step();
  }

  /** Removes what was made. With an exit code the root ends itself, so that whoever waits for it sees that code. */
  abort(exitCode?: number): void {
    for (const tracee of this.#family?.others ?? []) tracee.kill();
    for (const task of this.#tasks.toReversed()) task.abort(task === this.#tasks[0] ? exitCode : undefined);
  }

  [Symbol.dispose](): void {
    for (const task of this.#tasks) task[Symbol.dispose]();
    this.buffers[Symbol.dispose]();
    this.rollback[Symbol.dispose]();
    this.locals[Symbol.dispose]();
    for (const resource of this.kept.splice(0)) resource[Symbol.dispose]();
  }
}
