/**
 * Whole reads and writes on a file descriptor of any kind: file, pipe, socket or terminal, blocking or not.
 *
 * Synchronous, because the work between two records is: ptrace must stay on one thread. O_NONBLOCK belongs to the open
 * file and not to the descriptor (man 2 fcntl), so whoever shares the pipe with us may have set it, and clearing it here
 * would change it for them. EAGAIN is therefore answered by waiting.
 */
import { closeSync, constants, openSync, readSync, readlinkSync, writevSync } from 'node:fs';
import { isNodeError, StasisError, SyscallError } from './errors.ts';

/** The kernel takes at most that many parts in one call (UIO_MAXIOV, linux/uio.h). */
export const maximumParts = 1024;

/** A SyscallError for what `node:fs` threw; anything else stays what it is. */
export function fromNodeError(error: unknown, action: string, hint?: string): unknown {
  if (!isNodeError(error)) return error;
  return new SyscallError(error.syscall, -error.errno, error.code, action, { cause: error, ...(hint !== undefined && { hint }) });
}

/** Writes every byte of `parts`, in order. Waits for as long as the reader needs. */
export function writeFully(fd: number, parts: readonly Uint8Array[]): void {
  let pending: readonly Uint8Array[] = parts.filter((part) => part.byteLength > 0);
  using blocking = new BlockingTwin(fd, constants.O_WRONLY);
  const pause = new Pause();
  while (pending.length > 0) {
    try {
      pending = withoutBytes(pending, writevSync(blocking.fd, pending.slice(0, maximumParts)));
      pause.reset();
    } catch (error) {
      if (!isNodeError(error) || (error.code !== 'EAGAIN' && error.code !== 'EINTR')) throw error;
      if (!blocking.open()) pause.wait();
    }
  }
}

/** Fills `into` unless the end comes first; the number of bytes read. */
export function readFully(fd: number, into: Uint8Array, position: number | null = null): number {
  let filled = 0;
  using blocking = new BlockingTwin(fd, constants.O_RDONLY);
  const pause = new Pause();
  while (filled < into.byteLength) {
    try {
      const count = readSync(blocking.fd, into, filled, into.byteLength - filled, position === null ? null : position + filled);
      if (count === 0) break;
      filled += count;
      pause.reset();
    } catch (error) {
      if (!isNodeError(error) || (error.code !== 'EAGAIN' && error.code !== 'EINTR')) throw error;
      if (!blocking.open()) pause.wait();
    }
  }
  return filled;
}

/** What is left of `parts` after `count` bytes of them. */
export function withoutBytes(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count;
  for (const [index, part] of parts.entries()) {
    if (left < part.byteLength) return left === 0 ? parts.slice(index) : [part.subarray(left), ...parts.slice(index + 1)];
    left -= part.byteLength;
  }
  return [];
}

/**
 * A second open file for the same pipe, without O_NONBLOCK: opening /proc/self/fd/N makes one (man 5 proc). So we sleep in
 * the kernel until the other end moves, and the open file that others share stays as it is. Anonymous pipes only: a
 * named one would wait for a partner, a socket cannot be opened, and a terminal might become the controlling one.
 */
class BlockingTwin {
  readonly #original: number;
  readonly #flags: number;
  #twin: number | undefined;
  #tried = false;

  constructor(fd: number, flags: number) {
    this.#original = fd;
    this.#flags = flags;
  }

  get fd(): number {
    return this.#twin ?? this.#original;
  }

  /** Whether the next call will block by itself. */
  open(): boolean {
    if (this.#tried) return this.#twin !== undefined;
    this.#tried = true;
    const path = `/proc/self/fd/${this.#original}`;
    try {
      if (readlinkSync(path).startsWith('pipe:')) this.#twin = openSync(path, this.#flags);
    } catch {
      // No /proc, or a pipe of another user: sleeping does it as well.
    }
    return this.#twin !== undefined;
  }

  [Symbol.dispose](): void {
    if (this.#twin !== undefined) closeSync(this.#twin);
  }
}

/** Sleeps a little, longer each time, so that waiting costs no processor time. */
class Pause {
  static readonly #cell: Int32Array = new Int32Array(new SharedArrayBuffer(4));
  #milliseconds = 0.05;

  wait(): void {
    Atomics.wait(Pause.#cell, 0, 0, this.#milliseconds);
    this.#milliseconds = Math.min(this.#milliseconds * 2, 10);
  }

  reset(): void {
    this.#milliseconds = 0.05;
  }
}

/** A StasisError for a failed write that says what a user can do about the usual reasons. */
export function writeError(error: unknown, target: string): unknown {
  if (!isNodeError(error)) return error;
  const action = `Cannot write the image to ${target}`;
  const hint = {
    ENOSPC: 'The disk is full. Free some space, or write to another one.',
    EDQUOT: 'Your disk quota is used up. Free some space, or write to another disk.',
    EPIPE: 'The program that reads the image ended before it had all of it.',
    EFBIG: 'The file system, or the limit on file sizes (ulimit -f), does not allow a file of this size.',
    EBADF: 'The descriptor is not open for writing.',
    EACCES: 'The directory must be writable for you, as the image appears there only when it is whole. Or redirect: > FILE',
    ENOENT: 'The directory does not exist.',
    EISDIR: 'It is a directory. Name a file in it.',
    EROFS: 'The file system is mounted read-only.',
  }[error.code];
  return fromNodeError(error, action, hint);
}

/** A StasisError for a failed open or read of an image. */
export function readError(error: unknown, origin: string): unknown {
  if (!isNodeError(error)) return error;
  if (error.code === 'EISDIR')
    return new StasisError('FAILED', `Cannot read the image ${origin}: it is a directory`, { cause: error });
  return fromNodeError(error, `Cannot read the image ${origin}`);
}
