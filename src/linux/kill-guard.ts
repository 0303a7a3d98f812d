/**
 * A process that ends another one should we die: as long as it lives it shares our descriptors, so what these keep up (a
 * userfaultfd) lasts until it has done so. Source: man 2 pidfd_open (poll), man 2 clone (CLONE_FILES, CLONE_VM).
 */
import { pollfd } from './abi/poll.ts';
import { PidFd } from './descriptors.ts';
import { LocalMemory, mustSyscall, syscall } from './ffi.ts';
import { SpawnTable } from './spawn.ts';

const SIGKILL = 9;
const POLLIN = 1;

export class KillGuard implements Disposable {
  readonly #target: PidFd;
  readonly #ourselves: PidFd;
  readonly #guard: PidFd;

  constructor(spawnCode: Uint8Array, target: PidFd) {
    this.#target = target;
    this.#ourselves = new PidFd(process.pid);
    const table = new SpawnTable(spawnCode);
    table.blockSignals();
    table.add('setsid', []);
    const waiting = table.bytes(pollfd.make({ fd: this.#ourselves.fd, events: POLLIN }));
    table.add('poll', [waiting, 1, -1]);
    table.add('pidfd_send_signal', [this.#target.fd, SIGKILL, 0, 0], true);
    table.add('exit_group', [0]);
    this.#guard = new PidFd(table.start({ shareDescriptors: true }));
  }

  /** Ends the guard; the target lives on. */
  [Symbol.dispose](): void {
    this.#guard.kill(SIGKILL);
    const memory = LocalMemory.scratch('pollfd', 16);
    memory.bytes.set(pollfd.make({ fd: this.#guard.fd, events: POLLIN }));
    mustSyscall('poll', 'Cannot end a guard', memory.address, 1, -1);
    this.#guard[Symbol.dispose]();
    this.#ourselves[Symbol.dispose]();
  }
}

/** Which of the descriptors can be read; waits for at most so many milliseconds. */
export function readable(fds: readonly number[], milliseconds: number): boolean[] {
  const memory = LocalMemory.scratch('pollfds', Math.max(4096, fds.length * pollfd.size));
  fds.forEach((fd, index) => pollfd.write(memory.view, { fd, events: POLLIN, revents: 0 }, index * pollfd.size));
  if (syscall('poll', memory.address, fds.length, milliseconds) <= 0) return fds.map(() => false);
  return fds.map((_, index) => (pollfd.get(memory.view, 'revents', index * pollfd.size) & POLLIN) !== 0);
}
