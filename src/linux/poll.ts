/** What poll tells of one descriptor, without waiting. Source: man 2 poll. */
import { pollfd } from './abi/poll.ts';
import { StasisError } from '../errors.ts';
import { LocalMemory, mustSyscall } from './ffi.ts';

export const POLLIN = 1;
export const POLLERR = 8;

export function pollEvents(fd: number): number {
  const memory = LocalMemory.scratch('poll', 64);
  pollfd.write(memory.view, { fd, events: POLLIN, revents: 0 });
  mustSyscall('poll', 'Cannot poll a descriptor', memory.address, 1, 0);
  return pollfd.get(memory.view, 'revents');
}

/** Waits until something can be read or accepted. Loopback brings it at once, so a second without it is an error. */
export function waitReadable(fd: number, what: string): void {
  const memory = LocalMemory.scratch('poll', 64);
  pollfd.write(memory.view, { fd, events: POLLIN, revents: 0 });
  const limit = 5000; // milliseconds
  if (mustSyscall('poll', 'Cannot poll a descriptor', memory.address, 1, limit) === 0)
    throw new StasisError('RESTART_FAILED', `Cannot restart: waited in vain for ${what}`, { phase: 'restore' });
}
