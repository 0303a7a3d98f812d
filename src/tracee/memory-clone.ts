/**
 * A copy of a stopped task's memory, made by the kernel as fork makes it: a process that never runs, to be read while the
 * task runs on. It dies with us (PTRACE_O_EXITKILL). It is made by an errand of the task and belongs to init when that has
 * ended, never to the task: a child of the task would be seen by whoever waits with __WALL, and left as a zombie if we died.
 * What fork does not copy is not in it: shared memory is the same memory, MADV_DONTFORK is missing, MADV_WIPEONFORK is
 * empty, locks (mlock) are not inherited. Source: kernel/fork.c (dup_mmap), kernel/exit.c (forget_original_parent).
 */
import { callIn, clone, CLONE, end, withErrand, type Refused } from './errand.ts';
import type { Injector } from './injector.ts';
import type { Tracee } from './tracee.ts';

const PR_GET_CHILD_SUBREAPER = 37;

export class MemoryClone implements Disposable {
  readonly pid: number;
  readonly tracee: Tracee;

  constructor(tracee: Tracee) {
    this.tracee = tracee;
    this.pid = tracee.tid;
  }

  [Symbol.dispose](): void {
    if (this.tracee.attached) end(this.tracee);
  }
}

/** The task and its memory are as before, whatever comes of it. */
export function cloneMemory(tracee: Tracee, injector: Injector): MemoryClone | Refused {
  injector.mustCall('prctl', [PR_GET_CHILD_SUBREAPER, injector.scratch, 0, 0, 0]);
  if (injector.readScratch(4).getInt32(0, true) !== 0) return { refused: 'orphans become its children (PR_SET_CHILD_SUBREAPER)' };
  let copy: MemoryClone | undefined;
  try {
    const result = withErrand(tracee, injector, (errand) => {
      const made = clone(errand, injector, CLONE.FILES);
      if ('refused' in made) return made;
      copy = new MemoryClone(made.task);
      callIn(made.task, injector, 'munmap', [injector.scratch, injector.scratchSize]);
      return copy;
    });
    copy = undefined;
    return result;
  } finally {
    copy?.[Symbol.dispose]();
  }
}
