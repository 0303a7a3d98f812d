/** From a running process to its records, with its memory where it can be written: in itself, still stopped, or in a copy. */
import { collectProcesses, type CollectOptions, type TaskNode } from './collect.ts';
import { freeze, type Frozen, type FrozenProcess } from './freeze.ts';
import type { FreezeMode, FreezePlan } from './freeze-plan.ts';
import { flagsHold } from './known-vmas.ts';
import {
  isElsewhere,
  isMissingInCopy,
  mapPages,
  pageCount,
  PagesInMemory,
  PutAside,
  withPagesIn,
  withPagesOf,
} from './late-pages.ts';
import { pageSize } from './linux/pagemap.ts';
import { rangesOf, readTraced } from './linux/process-memory.ts';
import type { Precopy } from './precopy.ts';
import { syscall } from './linux/ffi.ts';
import { readSmaps, type SmapsVma } from './linux/proc/smaps.ts';
import type { ImageNode } from './objects/object.ts';
import type { Injector } from './tracee/injector.ts';
import { cloneMemory, type MemoryClone } from './tracee/memory-clone.ts';

export interface Captured extends Disposable {
  readonly tasks: readonly TaskNode[];
  /** The process that was asked for, as it was when it was stopped. */
  readonly root: FrozenProcess;
  readonly mode: FreezeMode;
  readonly reason: string;
  /** performance.now() when the process was asked to stop, and when everything but the memory was known. */
  readonly since: number;
  readonly collected: number;
  /** The process runs on already. */
  readonly released: boolean;
  /** Lets it run on, if it does not yet; performance.now() when it did. */
  release(): number;
  /** Sends all its processes a signal, as long as they are stopped. */
  signal(signal: number): void;
}

/** Throws CannotCarryError with all blockers. Whatever happens, the process runs on when the result is disposed. */
export function capture(pid: number, plan: FreezePlan, options: CollectOptions, copied?: Precopy): Captured {
  if (plan.mode === 'stop') return captureStopped(pid, plan.reason, options);
  const precopied = copied === undefined ? undefined : capturePrecopied(copied, plan, options);
  if (precopied !== undefined) return precopied;
  const forked = captureByFork(pid, plan, options) ?? captureByFork(pid, { ...plan, known: new Map() }, options);
  if (forked !== undefined) return forked;
  throw new Error('The kernel gives a copy of memory other flags than the memory'); // a case that dup_mmap does not know
}

function captureStopped(pid: number, reason: string, options: CollectOptions): Captured {
  const frozen = freeze(pid, { descendants: true });
  return guarded(frozen, () => stillStopped(frozen, collectProcesses(frozen, options), reason));
}

/** Runs `work`; when it fails the process runs on. */
function guarded<T>(frozen: Frozen, work: () => T): T {
  try {
    return work();
  } catch (error) {
    frozen[Symbol.dispose]();
    throw error;
  }
}

function stillStopped(frozen: Frozen, tasks: readonly TaskNode[], reason: string): Captured {
  let resumed: number | undefined;
  const release = (): number => {
    if (resumed === undefined) frozen[Symbol.dispose]();
    return (resumed ??= performance.now());
  };
  return {
    tasks,
    root: frozen.root,
    mode: 'stop',
    reason,
    since: frozen.since,
    collected: performance.now(),
    get released() {
      return resumed !== undefined;
    },
    release,
    signal: (signal) => {
      for (const process of frozen.processes) syscall('kill', process.pid, signal); // tracees: their pids cannot be those of others
    },
    [Symbol.dispose]: () => void release(),
  };
}

/** A watch of its own would have been refused before ours began. */
function withoutOurWatch(vma: SmapsVma): SmapsVma {
  if (!vma.vmFlags.has('uw')) return vma;
  const { start, end, read, write, execute, shared, offset, deviceMajor, deviceMinor, inode, path, deleted, sizes } = vma;
  const vmFlags = new Set([...vma.vmFlags].filter((flag) => flag !== 'uw'));
  return { start, end, read, write, execute, shared, offset, deviceMajor, deviceMinor, inode, path, deleted, sizes, vmFlags };
}

/** Bytes of memory written since the last round that are put aside. */
const writtenLimit = 64 << 20;

/** undefined: too much was written, or mappings are not what they were; then nothing that was copied counts. */
function capturePrecopied(copy: Precopy, plan: FreezePlan, options: CollectOptions): Captured | undefined {
  const { pid } = copy;
  const known = new Map([[pid, readSmaps(pid).map(withoutOurWatch)]]);
  const aside = new PutAside(putAsideLimit);
  let held: PagesInMemory | undefined;
  const discard = (): void => {
    aside[Symbol.dispose]();
    held?.[Symbol.dispose]();
  };
  try {
    const frozen = freeze(pid, { descendants: true, known });
    const found = guarded(frozen, () => {
      if (frozen.processes.length > 1) return undefined;
      const tasks = collectProcesses(frozen, { ...options, pagesLater: true });
      const pages = copy.pages(frozen.root.vmas);
      if (pageCount(pages.written) * pageSize > writtenLimit) return undefined;
      held = new PagesInMemory(pages.written);
      held.fill((chunk, into) => readTraced(pid, into, rangesOf(chunk)));
      let fits = true;
      const whole = tasks.map((task) =>
        mapPages(task, (node): ImageNode => {
          const kept = isElsewhere(node) ? aside.take(node, pid) : node;
          fits &&= kept !== undefined;
          return kept ?? node;
        }),
      );
      return fits ? { tasks: whole, pages } : undefined;
    });
    const collected = performance.now();
    frozen[Symbol.dispose]();
    const resumed = performance.now();
    const now = new Map(readSmaps(pid).map((vma) => [`${vma.start} ${vma.end} ${vma.path}`, vma]));
    copy.endWatch();
    const holds = frozen.root.vmas.every((vma) => {
      const later = now.get(`${vma.start} ${vma.end} ${vma.path}`);
      return later === undefined || flagsHold([vma], [later], false);
    });
    const memory = held;
    if (found === undefined || memory === undefined || !holds) {
      discard();
      return undefined;
    }
    const { tasks, pages } = found;
    return {
      tasks: tasks.map((task) => withPagesIn(task, pages, memory, copy)),
      root: frozen.root,
      mode: 'precopy',
      reason: plan.reason,
      since: frozen.since - copy.stopped, // both stops count
      collected,
      released: true,
      release: () => resumed,
      signal: () => {}, // what gets one is not copied
      [Symbol.dispose]: discard,
    };
  } catch (error) {
    discard();
    throw error;
  }
}

/** Bytes of shared memory and the like that are put aside for a copy; more would need much memory of ours and a long stop. */
const putAsideLimit = 32 << 20;

/** undefined: the flags of a mapping have changed since `plan.known`, so nothing that was done on their account counts. */
function captureByFork(pid: number, plan: FreezePlan, options: CollectOptions): Captured | undefined {
  const copies = new Copies();
  const aside = new PutAside(putAsideLimit);
  const discard = (): void => {
    copies[Symbol.dispose]();
    aside[Symbol.dispose]();
  };
  try {
    const frozen = freeze(pid, { descendants: true, ...(plan.known && { known: plan.known }) });
    const { tasks, refused } = guarded(frozen, () => copyMemory(frozen, copies, aside, options));
    if (refused !== undefined) {
      discard();
      return stopInstead(frozen, tasks, `no copy: ${refused}`);
    }
    const collected = performance.now();
    frozen[Symbol.dispose]();
    const resumed = performance.now();
    if (!frozen.processes.every((process) => flagsHold(process.vmas, readSmaps(copies.of(process.pid)), true))) {
      discard();
      return undefined;
    }
    return {
      tasks: tasks.map((task) => inCopy(task, copies.of(task.pid))),
      root: frozen.root,
      mode: 'fork',
      reason: plan.reason,
      since: frozen.since,
      collected,
      released: true,
      release: () => resumed,
      signal: () => {}, // what gets one is not copied
      [Symbol.dispose]: discard,
    };
  } catch (error) {
    discard();
    throw error;
  }
}

function inCopy(task: TaskNode, copy: number): TaskNode {
  return { ...withPagesOf(task, copy), pid: copy };
}

/** Everything but what the copies will tell, and what they lack put aside. */
function copyMemory(
  frozen: Frozen,
  copies: Copies,
  aside: PutAside,
  options: CollectOptions,
): { tasks: TaskNode[]; refused?: string } {
  const tasks = collectProcesses(frozen, { ...options, pagesLater: true, driven: copies.make });
  let { refused } = copies;
  const whole = tasks.map((task) =>
    mapPages(task, (node): ImageNode => {
      if (refused !== undefined || !isMissingInCopy(node)) return node;
      const kept = aside.take(node, task.pid);
      if (kept === undefined) refused = `more than ${putAsideLimit >> 20} MiB of its memory are not copied by a fork`;
      return kept ?? node;
    }),
  );
  return refused === undefined ? { tasks: whole } : { tasks, refused };
}

/** The process is stopped, and its mappings are known with flags that may have changed. */
function stopInstead(frozen: Frozen, tasks: readonly TaskNode[], reason: string): Captured | undefined {
  return guarded(frozen, () => {
    if (!frozen.processes.every(({ pid, vmas }) => flagsHold(vmas, readSmaps(pid), false))) {
      frozen[Symbol.dispose]();
      return undefined;
    }
    return stillStopped(
      frozen,
      tasks.map((task) => withPagesOf(task, task.pid)),
      reason,
    );
  });
}

/** Copies of the memory of processes, by the pid of the process. */
class Copies implements Disposable {
  refused: string | undefined;
  readonly #copies = new Map<number, MemoryClone>();

  readonly make = ({ pid, leader }: FrozenProcess, injector: Injector): void => {
    if (this.refused !== undefined) return;
    const made = cloneMemory(leader.tracee, injector);
    if ('refused' in made) this.refused = made.refused;
    else this.#copies.set(pid, made);
  };

  of(pid: number): number {
    const copy = this.#copies.get(pid);
    if (copy === undefined) throw new Error(`There is no copy of the memory of ${pid}`);
    return copy.pid;
  }

  [Symbol.dispose](): void {
    for (const copy of this.#copies.values()) copy[Symbol.dispose]();
    this.#copies.clear();
  }
}
