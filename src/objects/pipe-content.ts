/**
 * What is under way in a pipe: seen without taking it out, and put into a new one. Source: man 7 pipe, man 2 tee,
 * fs/pipe.c (pipe_read ends at the border of a packet), fs/splice.c (link_pipe keeps the borders).
 */
import { closeSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { s } from '../image/schema.ts';
import type { Schema } from '../image/schema.ts';
import { makePipe } from '../linux/descriptors.ts';
import { LocalMemory, mustSyscall, syscall } from '../linux/ffi.ts';
import { localCall } from './local-descriptors.ts';
import { O_DIRECT, O_NONBLOCK, setStatusFlags } from './open-file.ts';

const FIONREAD = 0x541b;
const F_SETPIPE_SZ = 1031;
const F_GETPIPE_SZ = 1032;
const SPLICE_F_NONBLOCK = 2;

export interface PipeContent {
  /** Bytes, a number of whole pages. */
  readonly capacity: number;
  /** A packet each, or all in one. */
  readonly pieces: readonly Uint8Array[];
  /** Each piece is a packet (O_DIRECT): one read takes one. */
  readonly packets: boolean;
}

export const pipeContent: Schema<PipeContent> = s.record({
  capacity: s.uint(0x7fff_ffff),
  pieces: s.array(s.hex(s.bytes(0x7fff_ffff)), 1 << 20),
  packets: s.bool(),
});

/** More than that is too much for one record. */
export const maxContent: number = 8 << 20;

/** Bytes that wait in the pipe. */
export function waitingIn(fd: number): number {
  const memory = LocalMemory.scratch('int', 8);
  mustSyscall('ioctl', 'Cannot ask a pipe', fd, FIONREAD, memory.address);
  return memory.view.getInt32(0, true);
}

export function capacityOf(fd: number): number {
  return mustSyscall('fcntl', 'Cannot ask a pipe', fd, F_GETPIPE_SZ);
}

/** Copies what waits in the pipe; `fd` can be read from. Piece by piece as it would be read. */
export function peek(fd: number): Uint8Array[] {
  const waiting = waitingIn(fd);
  if (waiting === 0) return [];
  const [read, write] = makePipe();
  try {
    syscall('fcntl', write, F_SETPIPE_SZ, capacityOf(fd)); // may be forbidden; then it may still be large enough
    const copied = mustSyscall('tee', 'Cannot copy what waits in a pipe', fd, write, 0x7fff_ffff, SPLICE_F_NONBLOCK);
    if (copied < waiting) {
      const hint = 'See /proc/sys/fs/pipe-max-size and pipe-user-pages-soft.';
      throw new StasisError('FAILED', 'Cannot copy what waits in a pipe: no pipe of that size may be made', { hint });
    }
    const pieces: Uint8Array[] = [];
    const memory = LocalMemory.allocate(waiting);
    for (let left = waiting; left > 0;) {
      const got = mustSyscall('read', 'Cannot read a copy of a pipe', read, memory.address, waiting);
      pieces.push(memory.bytes.slice(0, got));
      left -= got;
    }
    memory.free();
    return pieces;
  } finally {
    closeSync(read);
    closeSync(write);
  }
}

/** Gives a pipe of ours its size and what waits in it. False when it may not have that size. */
export function fillPipe(write: number, { capacity, pieces, packets }: PipeContent): boolean {
  const sized = capacityOf(write) === capacity || syscall('fcntl', write, F_SETPIPE_SZ, capacity) >= 0;
  setStatusFlags(write, O_NONBLOCK | (packets ? O_DIRECT : 0));
  for (const piece of pieces) {
    if (piece.length === 0) continue;
    const memory = LocalMemory.scratch('pipe content', Math.max(piece.length, 65536));
    memory.bytes.set(piece);
    for (let done = 0; done < piece.length;)
      done += localCall('refill a pipe', 'write', [write, memory.address + BigInt(done), piece.length - done]);
  }
  return sized;
}
