/**
 * Learning how processes end that are not our children. Source: man 2 pidfd_open (a pidfd becomes readable), fs/pidfs.c
 * (PIDFD_GET_INFO with PIDFD_INFO_EXIT, Linux 6.15: the status after the process was reaped, for who had a pidfd before).
 */
import { writeSync, readSync } from 'node:fs';
import { makePipe, type PidFd } from './descriptors.ts';
import { LocalMemory, syscall, syscallInPool } from './ffi.ts';
import { readStat } from './proc/stat.ts';
import { signalName } from './signals.ts';

/** As node:child_process tells it; both null when this kernel tells it to the parent alone. */
export interface Ended {
  readonly code: number | null;
  /** e.g. `SIGTERM` */
  readonly signal: string | null;
}

const POLLIN = 1;
const pollfdSize = 8;
const most = 4096 / pollfdSize - 1;

/** One thread of libuv's pool sleeps in poll(2) for all of them; a pipe wakes it when the list changes. */
export class ExitWatch {
  readonly #watched = new Map<PidFd, (ended: Ended) => void>();
  #wake: number | undefined;
  #wait = -1;
  #memory: LocalMemory | undefined;
  #polling = false;

  get size(): number {
    return this.#watched.size;
  }

  /** Takes the pidfd over; `ended` is called once. */
  add(process: PidFd, ended: (ended: Ended) => void): void {
    if (this.#watched.size >= most) throw new RangeError(`More than ${most} processes are watched`);
    this.#watched.set(process, ended);
    if (this.#polling) this.stop();
    else this.#poll();
  }

  /** Wakes the thread: this process cannot end while it sleeps. */
  stop(): void {
    if (this.#wake !== undefined) writeSync(this.#wake, '.');
  }

  #poll(): void {
    if (this.#watched.size === 0) return;
    if (this.#wake === undefined) [this.#wait, this.#wake] = makePipe();
    const { view, address } = (this.#memory ??= LocalMemory.allocate(4096));
    const fds = [this.#wait, ...[...this.#watched.keys()].map(({ fd }) => fd)];
    fds.forEach((fd, index) => view.setBigInt64(index * pollfdSize, BigInt(fd) | (BigInt(POLLIN) << 32n), true));
    this.#polling = true;
    syscallInPool('poll', address, fds.length, -1, (result) => {
      this.#polling = false;
      if (result > 0) this.#collect(fds.map((fd, index) => (view.getInt16(index * pollfdSize + 6, true) === 0 ? -1 : fd)));
      this.#poll();
    });
  }

  #collect(ready: readonly number[]): void {
    if (ready[0] === this.#wait) readSync(this.#wait, new Uint8Array(64));
    for (const [process, tell] of this.#watched) {
      if (!ready.includes(process.fd)) continue;
      this.#watched.delete(process);
      const ended = howEnded(process);
      process[Symbol.dispose]();
      tell(ended);
    }
  }
}

const PIDFD_GET_INFO = 0xc040ff0b; // _IOWR(0xff, 11, struct pidfd_info) with its first 64 bytes
const PIDFD_INFO_EXIT = 8n;

/** For a process that has ended: reaped already, or still a zombie. */
function howEnded(process: PidFd): Ended {
  for (let round = 0; round < 2; round++) {
    const memory = LocalMemory.scratch('pidfd_info', 64);
    memory.bytes.fill(0, 0, 64);
    memory.view.setBigUint64(0, PIDFD_INFO_EXIT, true);
    const known = syscall('ioctl', process.fd, PIDFD_GET_INFO, memory.address) === 0;
    if (known && (memory.view.getBigUint64(0, true) & PIDFD_INFO_EXIT) !== 0n) return decode(memory.view.getInt32(60, true));
    try {
      const { state, exit_code: status } = readStat(process.pid);
      // Signal 0: a zombie still has its number, so it is this process that we looked at.
      if (state === 'Z' && process.kill(0) === 0) return decode(status);
    } catch {
      // reaped in the meantime: the first way knows
    }
  }
  return { code: null, signal: null };
}

/** A wait status: man 2 wait4. */
function decode(status: number): Ended {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: null } : { code: null, signal: signalName(signal) };
}
