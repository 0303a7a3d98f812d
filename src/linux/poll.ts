/** What poll tells of one descriptor, without waiting. Source: man 2 poll. */
import { pollfd } from './abi/poll.ts';
import { LocalMemory, mustSyscall } from './ffi.ts';

export const POLLIN = 1;
export const POLLERR = 8;

export function pollEvents(fd: number): number {
  const memory = LocalMemory.scratch('poll', 64);
  pollfd.write(memory.view, { fd, events: POLLIN, revents: 0 });
  mustSyscall('poll', 'Cannot poll a descriptor', memory.address, 1, 0);
  return pollfd.get(memory.view, 'revents');
}
