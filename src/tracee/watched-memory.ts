/** A userfaultfd of a stopped task's address space in our hands, and in nobody else's: an errand makes it. */
import { SyscallError } from '../errors.ts';
import { PidFd } from '../linux/descriptors.ts';
import { syscallError } from '../linux/ffi.ts';
import { WriteWatch } from '../linux/write-watch.ts';
import { callIn, withErrand, type Refused } from './errand.ts';
import type { Injector } from './injector.ts';
import { saysVanished, type Tracee } from './tracee.ts';

const O_CLOEXEC = 0o2000000;
const UFFD_USER_MODE_ONLY = 1; // all that an ordinary user may ask for (vm.unprivileged_userfaultfd); enough without a handler

/** Begins to watch what the task's memory is written to; nothing is watched yet. */
export function watchMemory(tracee: Tracee, injector: Injector): WriteWatch | Refused {
  try {
    return watchByErrand(tracee, injector);
  } catch (error) {
    if (!(error instanceof SyscallError) || saysVanished(error)) throw error;
    return { refused: error.message }; // an old kernel, or one without it
  }
}

function watchByErrand(tracee: Tracee, injector: Injector): WriteWatch | Refused {
  return withErrand(tracee, injector, (errand) => {
    const number = callIn(errand, injector, 'userfaultfd', [O_CLOEXEC | UFFD_USER_MODE_ONLY]);
    using process = new PidFd(errand.tid);
    const fd = process.duplicate(Number(number));
    if (fd < 0) throw syscallError('pidfd_getfd', fd, `Cannot take a descriptor of ${errand.tid}`);
    return new WriteWatch(tracee.tid, fd);
  });
}
