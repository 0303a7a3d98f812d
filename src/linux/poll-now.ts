/** What a descriptor is ready for at this moment. Source: man 2 poll. */
import { pollfd } from './abi/poll.ts';
import { LocalMemory, mustSyscall } from './ffi.ts';

export const POLLERR = 8;
export const POLLHUP = 0x10;

/** Of `events`, and always of POLLERR and POLLHUP. */
export function pollNow(fd: number, events: number): number {
  const memory = LocalMemory.scratch('pollfd', pollfd.size);
  pollfd.write(memory.view, { fd, events, revents: 0 });
  mustSyscall('poll', 'Cannot poll a descriptor', memory.address, 1, 0);
  return pollfd.get(memory.view, 'revents');
}
