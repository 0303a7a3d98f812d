/** A connection to a Unix socket with an abstract name. Source: man 7 unix. */
import { closeSync, writeSync } from 'node:fs';
import { LocalMemory, mustSyscall, syscall, syscallError } from './ffi.ts';

/** sizeof(struct sockaddr_un). */
const addressSize = 110;

/** Connects to `\0name` and says the token first; a blocking descriptor. */
export function connectTo(name: string, token: string): number {
  const AF_UNIX = 1;
  const SOCK_STREAM_CLOEXEC = 0o2000001;
  const fd = mustSyscall('socket', 'Cannot make a socket', AF_UNIX, SOCK_STREAM_CLOEXEC, 0);
  const memory = LocalMemory.scratch('sockaddr_un', 128);
  const bytes = Buffer.from(name);
  memory.view.setUint16(0, AF_UNIX, true);
  memory.bytes[2] = 0;
  memory.bytes.set(bytes, 3);
  memory.bytes.fill(0, 3 + bytes.length);
  // Node 20 listens on the name filled up with zeros, later ones on the name as it is: to the kernel these are two names.
  let result = syscall('connect', fd, memory.address, 3 + bytes.length);
  if (result < 0) result = syscall('connect', fd, memory.address, addressSize);
  if (result < 0) {
    closeSync(fd);
    throw syscallError('connect', result, 'Cannot connect to the caller');
  }
  writeSync(fd, token);
  return fd;
}

/** The other end sees the end of the stream, while ours stays open. Source: man 2 shutdown. */
export function endOutput(fd: number): void {
  const SHUT_WR = 1;
  syscall('shutdown', fd, SHUT_WR);
}
