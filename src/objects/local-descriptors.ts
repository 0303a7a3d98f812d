/**
 * The open file descriptions of an image under restart. The restarting process makes each of them itself, once, by plain
 * system calls, and hands it to every task that has it (descriptor-builder.ts): so sharing comes out by itself, and
 * nothing is opened with other rights than those of whoever restarts.
 *
 * A description is made when it is first asked for. Once a task has it, ours is closed, so that an image with more of
 * them than we may have descriptors can be restarted; if asked for again, it is taken back from that task.
 */
import { closeSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { LocalMemory, syscall, syscallError, type Word } from '../linux/ffi.ts';
import { PidFd, type Place } from '../linux/descriptors.ts';
import type { SyscallName } from '../linux/syscalls.ts';

const F_DUPFD_CLOEXEC = 1030;

export class LocalDescriptors implements Disposable {
  readonly #openers = new Map<number, () => number>();
  readonly #skipped = new Set<number>();
  readonly #open = new Map<number, number>();
  readonly #holders = new Map<number, Place>();
  readonly #inherited = new Map<number, number>();
  readonly #kept: number[] = [];
  readonly #lastSteps: (() => void)[] = [];

  /** `open` makes the description and returns our descriptor of it, close-on-exec. It may ask for others. */
  add(objref: number, open: () => number): void {
    this.#openers.set(objref, open);
  }

  /** Nobody gets it, unless it is replaced. */
  skip(objref: number): void {
    this.#skipped.add(objref);
  }

  isSkipped(objref: number): boolean {
    return this.#skipped.has(objref);
  }

  /** Another one takes the place of what the image describes. */
  replace(objref: number, open: () => number): void {
    this.#skipped.delete(objref);
    this.#openers.set(objref, open);
  }

  /** Our descriptor of a description. It stays ours: duplicate what is to last. */
  get(objref: number): number {
    const known = this.#open.get(objref) ?? this.#takeBack(objref);
    if (known !== undefined) return known;
    const open = this.#openers.get(objref);
    if (open === undefined) throw new StasisError('IMAGE', `Object ${objref} is no open file`);
    this.#openers.set(objref, () => {
      throw new StasisError('IMAGE', `The open file ${objref} needs itself`);
    });
    const fd = open();
    this.#open.set(objref, fd);
    return fd;
  }

  /** Descriptions that come into being together (the ends of a pair): the others are known from now on. */
  put(objref: number, fd: number): void {
    this.#open.set(objref, fd);
  }

  /** Stays open until everything is made, then is closed: what must exist meanwhile. */
  keep(fd: number): void {
    this.#kept.push(fd);
  }

  /** To be done when all processes are whole, before they run. */
  atEnd(step: () => void): void {
    this.#lastSteps.push(step);
  }

  /** All processes are whole. What we still have is closed: the ends of pipes would be noticed. */
  finish(): void {
    for (const step of this.#lastSteps.splice(0)) step();
    this[Symbol.dispose]();
  }

  /** A task has it now: it can be had from there, so ours is closed. */
  handedTo(objref: number, holder: Place): void {
    const fd = this.#open.get(objref);
    if (fd === undefined) return;
    this.#holders.set(objref, holder);
    this.#open.delete(objref);
    closeSync(fd);
  }

  #takeBack(objref: number): number | undefined {
    const holder = this.#holders.get(objref);
    if (holder === undefined) return undefined;
    const fd = duplicateOf(holder);
    this.#open.set(objref, fd);
    return fd;
  }

  /** Takes duplicates of the descriptors that the first task brings along; later ones have nothing else. */
  inherit(pid: number, fds: Iterable<number>): void {
    if (this.#inherited.size > 0) return;
    for (const fd of fds) this.#inherited.set(fd, duplicateOf({ pid, fd }));
  }

  /** The same for a task that brings none along: duplicates of descriptors of ours, by the numbers for which they stand. */
  lend(fds: ReadonlyMap<number, number>): void {
    for (const [number, fd] of fds) this.#inherited.set(number, duplicateOf({ pid: process.pid, fd }));
  }

  /** A new descriptor of ours for what the restart has under this number; undefined when it has nothing there. */
  duplicateInherited(number: number): number | undefined {
    const fd = this.#inherited.get(number);
    return fd === undefined ? undefined : localCall(`duplicate descriptor ${number}`, 'fcntl', [fd, F_DUPFD_CLOEXEC, 0]);
  }

  [Symbol.dispose](): void {
    for (const fd of [...this.#open.values(), ...this.#inherited.values(), ...this.#kept]) closeSync(fd);
    this.#open.clear();
    this.#inherited.clear();
    this.#kept.length = 0;
  }
}

function duplicateOf({ pid, fd }: Place): number {
  using process = new PidFd(pid);
  const duplicate = process.duplicate(fd);
  if (duplicate < 0) throw failure('pidfd_getfd', duplicate, `take descriptor ${fd} of ${pid}`);
  return duplicate;
}

/** A system call of ours for a restart; `action` completes «Cannot …» in the error. */
export function localCall(action: string, name: SyscallName, parameters: readonly Word[]): number {
  const [a, b, c, d, e, f] = parameters;
  const result = syscall(name, a, b, c, d, e, f);
  if (result < 0) throw failure(name, result, action);
  return result;
}

function failure(name: string, result: number, action: string): StasisError {
  return syscallError(name, result, `Cannot ${action}`, { code: 'RESTART_FAILED', phase: 'restore' });
}

/** Opens a path; close-on-exec, and never as our controlling terminal. */
export function openLocally(path: string | Uint8Array, flags: number): number {
  const AT_FDCWD = -100;
  const O_CLOEXEC = 0o2000000;
  const O_NOCTTY = 0o400;
  const bytes = Buffer.concat([Buffer.from(path), Uint8Array.of(0)]);
  const memory = LocalMemory.scratch('path', 16384);
  memory.bytes.set(bytes);
  return localCall(`open ${Buffer.from(path).toString()}`, 'openat', [AT_FDCWD, memory.address, flags | O_CLOEXEC | O_NOCTTY, 0]);
}
