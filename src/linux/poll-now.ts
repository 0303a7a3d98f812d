/** What a descriptor is ready for. Source: man 2 poll. */
import { StasisError } from '../errors.ts';
import { pollfd } from './abi/poll.ts';
import { errno } from './errno.ts';
import { LocalMemory, syscall, syscallError } from './ffi.ts';

export const POLLIN = 1;
export const POLLERR = 8;
export const POLLHUP = 0x10;

/** At this moment. Of `events`, and always of POLLERR and POLLHUP. */
export function pollNow(fd: number, events: number): number {
  return poll(fd, events, 0);
}

/** Waits until something can be read or accepted, which loopback brings at once: not at all is an error. */
export function waitReadable(fd: number, what: string): void {
  const limit = 5000; // milliseconds
  if (poll(fd, POLLIN, limit) === 0)
    throw new StasisError('RESTART_FAILED', `Cannot restart: waited in vain for ${what}`, { phase: 'restore' });
}

/** A signal to us interrupts poll in any case (man 7 signal): then once more. */
function poll(fd: number, events: number, milliseconds: number): number {
  const memory = LocalMemory.scratch('pollfd', pollfd.size);
  pollfd.write(memory.view, { fd, events, revents: 0 });
  for (;;) {
    const result = syscall('poll', memory.address, 1, milliseconds);
    if (result >= 0) return pollfd.get(memory.view, 'revents');
    if (result !== -errno.EINTR) throw syscallError('poll', result, 'Cannot poll a descriptor');
  }
}
