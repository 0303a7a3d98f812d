/**
 * What an object kind is. One kind = one file in this folder = one line in registry.ts: the record that describes it
 * in an image, how it is collected from a stopped task, and how it is built again in a task under restart.
 */
import type { Blocker } from '../errors.ts';
import type { RecordKind } from '../image/kind.ts';
import type { ClockOffsets } from '../linux/proc/timens-offsets.ts';
import type { Stat } from '../linux/proc/stat.ts';
import type { Status } from '../linux/proc/status.ts';
import type { LocalMemory } from '../linux/ffi.ts';
import type { Range } from '../linux/process-memory.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import type { Area, Batch } from '../tracee/batch.ts';
import type { PageRuns, Span } from '../linux/pagemap.ts';
import type { DescriptorBuilder } from './descriptor-builder.ts';
import type { LocalDescriptors } from './local-descriptors.ts';
import type { Rollback } from './rollback.ts';
import type { ObjectTable } from './object-table.ts';
import type { TimerRebuild } from './timer-rebuild.ts';
import type { Inquiry } from '../tracee/inquiry.ts';
import type { Settled } from '../tracee/interrupted-call.ts';
import type { Tracee } from '../tracee/tracee.ts';
import type { Vdso } from '../tracee/vdso.ts';

/** A kind: its record, its row in docs/supported.md, and what a restart does on meeting it. */
export interface ObjectKind<T = never> {
  readonly record: RecordKind<T>;
  readonly title: string;
  /** What of it is carried, for docs/supported.md. */
  readonly carried: string;
  /** What of it is refused, or empty. */
  readonly refused: string;
  /** Adds to the task under restart what the record tells; of a container, when it opens. */
  readonly restart?: (value: T, rebuild: Rebuild, event: { objref: number; data?: Uint8Array; file?: FilePlace }) => void;
  /** Of a container: when it closes. */
  readonly close?: (rebuild: Rebuild) => void;
}

/** Where the data of a record lies in a file that is open here. */
export interface FilePlace {
  readonly fd: number;
  readonly offset: number;
}

/** A record of the image to be, with what is nested in it. */
export interface ImageNode {
  readonly record: RecordKind;
  readonly value: unknown;
  readonly objref?: number;
  readonly children?: readonly ImageNode[];
  /** Pages of the target to be written inside this container. */
  readonly pages?: PageRuns;
  /** How those pages are read, where they are not addresses in the memory of the target: shared objects, files. */
  readonly readPages?: ReadPages;
}

/** Puts the pages of these runs, one after the other, to the begin of `into`. The target is still stopped then. */
export type ReadPages = (runs: PageRuns, into: LocalMemory) => void;

export function node<T>(record: RecordKind<T>, value: T, rest: Omit<ImageNode, 'record' | 'value'> = {}): ImageNode {
  return { record, value, ...rest };
}

/** What is known of a stopped thread while it is collected. */
export interface ThreadCollection {
  readonly tid: number;
  readonly tracee: Tracee;
  readonly status: Status;
  /** How the thread goes on, here and after a restart (before an answer to a self-checkpoint). */
  readonly settled: Settled;
  readonly injector: Inquiry;
  readonly process: Collection;
}

/** What is known of a stopped process while it is collected. Tracee, status, stat and injector are those of its leader. */
export interface Collection {
  readonly pid: number;
  readonly tracee: Tracee;
  readonly status: Status;
  readonly stat: Stat;
  readonly vmas: readonly SmapsVma[];
  readonly vdso: Vdso;
  readonly injector: Inquiry;
  /** What cannot be carried; collected, so that the user sees all of it at once. */
  readonly blockers: Blocker[];
  /** CLOCK_MONOTONIC at the stop, nanoseconds: the image tells how things were then. */
  readonly stopped: bigint;
  /** Of the whole image. */
  readonly objects: ObjectTable;
  /** For a checkpoint that the target itself asked for: our duplicate of the descriptor that receives the image. */
  readonly imageFd: number | undefined;
  /** For open files that are no descriptor of the target: carries the one behind a descriptor of ours; see files.ts. */
  readonly carryOwn?: (fd: number) => { readonly objref: number; readonly nodes: readonly ImageNode[] } | undefined;
}

/** The memory of the image on which another is based. */
export interface EarlierMemory {
  /** Puts pages of the private mappings of the task that had this pid one after the other into `into`. ImageError if one is not there. */
  read(pid: number, runs: PageRuns, into: Uint8Array): void;
}

/** A process being rebuilt: stopped in a fresh program image, its calls are gathered and run together. */
export interface Rebuild {
  /** The thread that is being worked on: the leader, until the final steps of another thread are run. */
  readonly tracee: Tracee;
  /** The calls gathered so far, for that thread; `flush` runs them and starts a new batch. */
  readonly batch: Batch;
  flush(): bigint[];
  /** Gives ranges of mapped, writable memory their content, which lies in `file` too, if that is given. It arrives by the next use of `batch` at the latest. */
  arrive(ranges: readonly Range[], data: Uint8Array, file?: FilePlace): void;
  /** Makes sure that so many calls and bytes still fit into the batch. */
  room(calls: number, bytes?: number): void;
  /** The number that the next open in the task will get, while the memory is built. */
  readonly freeFd: number;
  readonly descriptors: DescriptorBuilder;
  /** The open files of the whole image, as far as they exist in this process. */
  readonly locals: LocalDescriptors;
  /** Paths of mapped files found unchanged. */
  readonly checkedFiles: Set<string>;
  /** The system call area in the task; throws before the memory is being rebuilt. */
  readonly area: Area;
  /** False until {@link makeArea}, but for a task that has that of its parent. */
  readonly hasArea: boolean;
  makeArea(vdso: Vdso, hole: bigint): Area;
  vdsoMoved(distance: bigint): void;
  /** Leaves a note in the room of the task's vdso, as long as there is room. */
  writeNote(note: Uint8Array): void;
  /** The task as it stood when its program had been executed, before anything was changed; its threads are made like it. */
  readonly fresh: { readonly status: Status; readonly stat: Stat };
  /** Begins the task anew with this program: it stops before its first instruction. */
  execute(path: string): void;
  /** Begins the task as a fork of its parent, with the memory and the working area of that one. */
  inherit(): void;
  /** Makes a thread, or takes the leader if `tid` is the process's own; its kinds leave their final steps in {@link thread}. */
  beginThread(tid: number): void;
  /** The thread whose record is open. */
  readonly thread: ThreadFinals;
  /** Ids of all processes and threads of the image, by what they were; complete when everything has been read. */
  readonly ids: ReadonlyMap<number, number>;
  /** Thread ids by what they were at the checkpoint. */
  readonly threadIds: ReadonlyMap<number, number>;
  /** Takes the steps as the thread that had this id, or as the leader. */
  runAs(formerTid: number | undefined, step: () => void): void;
  readonly acceptChangedFiles: boolean;
  /** Descriptors of the restart that take the place of such of this process, by the number of the latter. */
  readonly replacedFds: ReadonlyMap<number, number>;
  readonly earlier: EarlierMemory | undefined;
  /** Descriptions met so far, by objref. */
  readonly described: Map<number, unknown>;
  /** What the last steps need: registers and all that must come after everything else. */
  readonly finals: Finals;
  /** How the restarted program is attached to its surroundings. */
  readonly surroundings: Surroundings;
  /** Process ids by what they were at the checkpoint, of the processes made so far. */
  readonly processIds: ReadonlyMap<number, number>;
  /** Files that go back to what the image says. */
  readonly rollback: Rollback;
  /** A last step, when all processes run. */
  whenReleased(step: () => void): void;
  /** Ends with the restart: descriptors of ours from which tasks map. */
  keep(resource: Disposable): void;
  /** Things that could not be given back and that the user should hear of. */
  readonly notes: string[];
}

/** Put aside by kinds until everything else is in place. */
export interface Finals {
  /** What the record of the task says. */
  pid?: number;
  /** Ranges that are mapped already, as in the parent. */
  kept?: readonly Span[];
  /** Calls that set the boundaries of the address space. */
  boundaries?: () => void;
  /** Calls by the leader that need the rest in place: signals, limits, settings. */
  calls: (() => void)[];
  /** Calls after those of all threads: what the others would undo. */
  lastCalls: (() => void)[];
  /** Calls after all others: timers begin to run. */
  armCalls: (() => void)[];
  /** Steps of the leader after all batches, by single calls: then every signal is blocked. */
  injected: (() => void)[];
  /** What the time namespace of the process adds to the clocks of the machine. */
  clockOffsets?: ClockOffsets;
  /** The POSIX timers to be, by their ids. */
  timers: Map<number, TimerRebuild>;
  /** objrefs of the last seccomp filter of each thread, by former ids. */
  filters: Map<number, number>;
  stopped?: boolean;
  systemCalls?: boolean;
  /** The mapping being filled, or another object that has pages; addresses are then bytes from its start. */
  vma?: {
    /** Where its pages may lie: rising, disjoint. */
    readonly spans: readonly Span[];
    readonly after: readonly (() => void)[];
    /** Where the content goes when that is not the memory of the task. */
    readonly store?: (ranges: readonly Range[], data: Uint8Array) => void;
  };
}

/** The final steps of one thread, run while it is the one that {@link Rebuild.tracee} and {@link Rebuild.batch} mean. */
export interface ThreadFinals {
  /** Its id at the checkpoint. */
  readonly formerTid: number;
  /** Calls by the thread itself: its identity, credentials, scheduling. */
  readonly calls: (() => void)[];
  /** Calls after those: what they would undo. */
  readonly lastCalls: (() => void)[];
  /** Steps after all batches, by single calls: then every signal is blocked. */
  readonly injected: (() => void)[];
  /** Goes back to sleep for the rest of the time; the working area still exists. */
  fallAsleep?: () => void;
  /** Steps that forbid calls; the working area still exists. */
  readonly locks: (() => void)[];
  /** Registers and whatever ptrace sets, when the working area is gone. */
  registers?: () => void;
}

/** What the restarting command hands on to the program. */
export interface Surroundings {
  /** The image came through descriptor 0: that one is not handed on. */
  readonly imageOnStdin: boolean;
  /** Path of the controlling terminal, which can take the place of fd 0. */
  readonly terminal: string | undefined;
  /** Descriptors that the task brings with it, as it stands before its first instruction. */
  readonly inherited: ReadonlySet<number>;
}
