/**
 * The story of a branch: copies of a running process in place, without an image on a disk. The memory of its root is what
 * the kernel copies for a fork, so the copies share it with the original until somebody writes; everything else is
 * collected and made again as by a checkpoint and a restart.
 */
import { closeSync } from 'node:fs';
import { assertCheckpointable, makeHead, writeImage } from './checkpoint.ts';
import { collectProcesses } from './collect.ts';
import { StasisError } from './errors.ts';
import { freeze } from './freeze.ts';
import { PidFd } from './linux/descriptors.ts';
import { LocalMemory, mustSyscall, syscall } from './linux/ffi.ts';
import { readStatus } from './linux/proc/status.ts';
import { rebuildFrom, type RestartResult } from './restart.ts';
import { openSink } from './sink.ts';
import { openSource } from './source.ts';
import { isSupervised } from './supervised.ts';
import type { Injector } from './tracee/injector.ts';
import { cloneMemory, type MemoryClone } from './tracee/memory-clone.ts';
import type { Tracee } from './tracee/tracee.ts';
import { paced } from './write-behind.ts';

export interface BranchOptions {
  /** How many; default 1. */
  readonly copies?: number;
  readonly signal?: AbortSignal;
  /** Called with the pid of each new process before it does anything. */
  readonly born?: (pid: number) => void;
}

export interface BranchResult {
  /** The copies, in the order in which they began to run. */
  readonly branches: readonly RestartResult[];
  /** Milliseconds for which the original was stopped. */
  readonly freezeMs: number;
  readonly totalMs: number;
}

/**
 * Makes copies of process `pid` and of all below it, which run beside the original. Whatever fails, the original runs on
 * as before and no copy is left. Errors: CannotCarryError, VANISHED, PRIVILEGE, FAILED, RESTART_FAILED, ABORTED.
 */
export async function branch(pid: number, options: BranchOptions = {}): Promise<BranchResult> {
  const { copies = 1, signal } = options;
  const started = performance.now();
  signal?.throwIfAborted();
  assertCheckpointable(pid);
  using taken = new Disposables();
  const image = taken.keep(new MemoryFileImage());
  const streams = new Map<number, number>();
  const clones: MemoryClone[] = [];
  const freezeMs = await copyStopped(pid, copies, image, { taken, streams, clones });
  const branches: RestartResult[] = [];
  try {
    for (const clone of clones) {
      signal?.throwIfAborted();
      options.born?.(clone.pid);
      image.rewind();
      using input = openSource({ fd: image.fd });
      const surroundings = { imageOnStdin: false, terminal: undefined };
      const birth = (): Tracee => {
        throw new StasisError('FAILED', 'A copy executes nothing'); // its record says so
      };
      const adopt = { tracee: clone.tracee, streams };
      branches.push(await rebuildFrom(input, { birth, adopt, acceptChangedFiles: true, surroundings, pids: 'keep' }, {}));
    }
  } catch (error) {
    for (const { pid: copy } of branches) syscall('kill', copy, SIGKILL);
    throw error;
  }
  return { branches, freezeMs, totalMs: performance.now() - started };
}

const SIGKILL = 9;

interface Taken {
  readonly taken: Disposables;
  /** Duplicates of the original's standard streams. */
  readonly streams: Map<number, number>;
  readonly clones: MemoryClone[];
}

/** Everything that must happen while the original is stopped; for how many milliseconds it was. */
async function copyStopped(pid: number, copies: number, image: MemoryFileImage, into: Taken): Promise<number> {
  const { taken, streams, clones } = into;
  const systemCalls = isSupervised(pid, readStatus(pid));
  using frozen = freeze(pid, { descendants: true });
  const driven = (process: { readonly pid: number }, injector: Injector): void => {
    if (process.pid !== pid) return;
    for (let copy = 0; copy < copies; copy++) {
      const made = cloneMemory(frozen.root.leader.tracee, injector);
      if ('refused' in made) throw new StasisError('FAILED', `Cannot branch ${pid}: ${made.refused}`, { phase: 'freeze', pid });
      clones.push(taken.keep(made));
    }
  };
  const tasks = collectProcesses(frozen, { systemCalls, rootStays: true, driven });
  using process = new PidFd(pid);
  for (const standard of [0, 1, 2]) {
    const duplicate = process.duplicate(standard);
    if (duplicate < 0) continue; // it has none
    streams.set(standard, duplicate);
    taken.keep({ [Symbol.dispose]: () => closeSync(duplicate) });
  }
  using output = openSink({ fd: image.fd });
  const { architecture } = frozen.root.leader.tracee;
  await writeImage(paced(output), { ...makeHead(pid, 0), architecture: architecture.name }, tasks, {});
  frozen[Symbol.dispose]();
  return performance.now() - frozen.since;
}

/** What is to be given back at the end, the last first. */
class Disposables implements Disposable {
  readonly #all: Disposable[] = [];

  keep<T extends Disposable>(resource: T): T {
    this.#all.push(resource);
    return resource;
  }

  [Symbol.dispose](): void {
    for (const resource of this.#all.toReversed()) resource[Symbol.dispose]();
  }
}

/** A file without a name, in memory. Source: man 2 memfd_create. */
class MemoryFileImage implements Disposable {
  readonly fd: number;

  constructor() {
    const MFD_CLOEXEC = 1;
    const name = LocalMemory.scratch('memfd', 16);
    name.bytes.set(Buffer.from('stasis\0'));
    this.fd = mustSyscall('memfd_create', 'Cannot make a file in memory', name.address, MFD_CLOEXEC);
  }

  rewind(): void {
    const SEEK_SET = 0;
    mustSyscall('lseek', 'Cannot read from the begin', this.fd, 0, SEEK_SET);
  }

  [Symbol.dispose](): void {
    closeSync(this.fd);
  }
}
