/**
 * Builds the descriptor table of a task under restart. The open file descriptions are ours (local-descriptors.ts); they
 * reach the task through a pair of sockets (SCM_RIGHTS). What is received gets the lowest free numbers in order, so when
 * it is sent in the order of the numbers that it shall have, most of it arrives in its place, and the rest has only to
 * move upwards, the last one first.
 */
import { closeSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { cmsghdr, msghdr } from '../linux/abi/socket.ts';
import { iovec } from '../linux/abi/uio.ts';
import { PidFd } from '../linux/descriptors.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { readLimits } from '../linux/proc/limits.ts';
import { readProcess } from '../linux/process-memory.ts';
import { controlSize, maxDescriptors, sendDescriptors } from '../linux/send-descriptors.ts';
import type { Rebuild } from './object.ts';

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0o2000001;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const O_CLOEXEC = 0o2000000;
const RLIMIT_NOFILE = 7;
const everything = 0xffff_ffff;

interface Assignment {
  readonly fd: number;
  readonly description: number;
  readonly closeOnExec: boolean;
}

interface Step {
  readonly fd: number;
  readonly description: number;
  readonly other: number;
  readonly use: (other: number) => void;
}

export class DescriptorBuilder {
  readonly #rebuild: Rebuild;
  readonly #assignments: Assignment[] = [];
  readonly #numbers = new Map<number, number>();
  readonly #early: Step[] = [];
  readonly #steps: Step[] = [];

  constructor(rebuild: Rebuild) {
    this.#rebuild = rebuild;
  }

  /** `open` makes the open file `objref`, in this process, when it is needed; see LocalDescriptors. */
  add(objref: number, open: () => number): void {
    this.#rebuild.locals.add(objref, open);
  }

  /** Descriptor `fd` of the task is the open file `description`. */
  assign(fd: number, description: number, closeOnExec: boolean): void {
    const own = this.#rebuild.replacedFds.get(fd);
    if (own !== undefined) this.#inherit(fd, own, description);
    this.#assignments.push({ fd, description, closeOnExec });
    if (!this.#numbers.has(description)) this.#numbers.set(description, fd);
  }

  /**
   * What the task must do itself with the open file `description`, under its number `fd`, and with another one (of any
   * number, told to `use`). Where the task has the description under another number or not at all, both are lent to it
   * for that, before it gets its own. `first`: before all others that do not say so.
   */
  after(fd: number, description: number, other: number, use: (other: number) => void, first = false): void {
    const step = { fd, description, other, use };
    if (first) this.#early.push(step);
    else this.#steps.push(step);
  }

  /** The first number under which the task has the open file `description`. */
  numberOf(description: number): number | undefined {
    return this.#numbers.get(description);
  }

  /** Gives the task its descriptors, and makes it do what comes after. */
  build(): void {
    this.#inheritNew();
    const { locals } = this.#rebuild;
    const isCarried = (objref: number): boolean => !locals.isSkipped(objref);
    const assignments = this.#assignments.filter(({ description }) => isCarried(description)).sort((a, b) => a.fd - b.fd);
    const used = new Map(assignments.map(({ fd, description }) => [fd, description]));
    if (used.size < assignments.length) throw new StasisError('IMAGE', 'The image gives one descriptor two meanings');
    const steps = [...this.#early, ...this.#steps].filter((step) => isCarried(step.description) && isCarried(step.other));
    const hasBoth = ({ fd, description, other }: Step): boolean => used.get(fd) === description && this.#numbers.has(other);
    const loans = steps.filter((step) => !hasBoth(step));
    const entry = lowest(new Set([...used.keys(), ...loans.map(({ fd }) => fd)]));
    this.#raiseLimit(Math.max(1, entry, assignments.at(-1)?.fd ?? 0, ...loans.map(({ fd }) => fd)));
    const socket = this.#connect(entry, assignments.length + loans.length > 0);
    try {
      for (const loan of loans) this.#lend(socket, entry, loan);
      const taken = new Set([entry]);
      for (let index = 0; index < assignments.length; index += maxDescriptors) {
        const part = assignments.slice(index, index + maxDescriptors);
        this.#deliver(socket, entry, part, taken);
        const pid = this.#rebuild.tracee.tid;
        for (const { fd, description } of part) this.#rebuild.locals.handedTo(description, { pid, fd });
      }
    } finally {
      if (socket >= 0) closeSync(socket);
    }
    if (socket >= 0) this.#call('close a socket', 'close', [entry]);
    for (const step of steps) if (hasBoth(step)) step.use(this.#numbers.get(step.other) ?? -1);
  }

  /** What the restart was told to put in the place of a descriptor. */
  #inherit(fd: number, own: number, description: number): void {
    const { locals } = this.#rebuild;
    locals.replace(description, () => {
      const found = locals.duplicateInherited(own);
      if (found !== undefined) return found;
      throw new StasisError(
        'RESTART_FAILED',
        `Cannot put descriptor ${own} of the restart in the place of ${fd}: it is not open`,
      );
    });
  }

  /** The same where the image has nothing; their numbers stand for the objects that they are not. */
  #inheritNew(): void {
    const known = new Set(this.#assignments.map(({ fd }) => fd));
    for (const [fd, own] of this.#rebuild.replacedFds) {
      if (known.has(fd)) continue;
      this.#inherit(fd, own, -1 - fd);
      this.#assignments.push({ fd, description: -1 - fd, closeOnExec: false });
    }
  }

  #lend(socket: number, entry: number, { fd, description, other, use }: Step): void {
    const place = lowest(new Set([fd, entry]));
    const both = [
      { fd, description, closeOnExec: true },
      { fd: place, description: other, closeOnExec: true },
    ];
    both.sort((a, b) => a.fd - b.fd);
    this.#deliver(socket, entry, both, new Set([entry]));
    use(place);
    for (const lent of [fd, place]) this.#call('close a descriptor that was lent', 'close', [lent]);
  }

  /** Closes what the task brought along and gives it one end of a pair of sockets, as `entry`; the other is ours. */
  #connect(entry: number, needed: boolean): number {
    const rebuild = this.#rebuild;
    this.#call('close the first descriptors', 'close_range', [0, everything, 0]);
    if (!needed) return -1;
    rebuild.room(1, 64);
    const pair = rebuild.batch.data(new Uint8Array(8));
    rebuild.batch.add('make a pair of sockets', 'socketpair', [AF_UNIX, SOCK_STREAM_CLOEXEC, 0, pair]); // 0 and 1
    rebuild.flush();
    using task = new PidFd(rebuild.tracee.tid);
    const socket = task.duplicate(1);
    if (socket < 0) throw new StasisError('RESTART_FAILED', `Cannot reach the descriptors of ${task.pid}`, { phase: 'restore' });
    this.#call('close a socket', 'close', [1]);
    if (entry === 0) return socket;
    this.#call('put a socket aside', 'dup3', [0, entry, O_CLOEXEC]);
    this.#call('close a socket', 'close', [0]);
    return socket;
  }

  #deliver(socket: number, entry: number, assignments: readonly Assignment[], taken: Set<number>): void {
    const { locals } = this.#rebuild;
    const own = assignments.map(({ description }) => locals.get(description)); // which may use the task
    sendDescriptors(socket, own);
    this.#rebuild.room(2 * assignments.length + 4, 4096);
    const { batch } = this.#rebuild;
    const mostly = assignments.filter(({ closeOnExec }) => closeOnExec).length * 2 > assignments.length;
    const size = controlSize(assignments.length);
    const control = batch.data(new Uint8Array(size));
    const vector = batch.data(iovec.make({ iov_base: batch.data(new Uint8Array(1)), iov_len: 1n }));
    const header = { msg_iov: vector, msg_iovlen: 1n, msg_control: control, msg_controllen: BigInt(size) };
    const flags = MSG_DONTWAIT | (mostly ? MSG_CMSG_CLOEXEC : 0);
    batch.add('receive descriptors', 'recvmsg', [entry, batch.data(msghdr.make(header)), flags]);
    const arrived = [...numbers(0, assignments.length, taken)];
    for (let index = assignments.length - 1; index >= 0; index--) {
      const { fd, closeOnExec } = assignments[index] as Assignment;
      const at = arrived[index] as number;
      if (at !== fd) {
        batch.add(`set up descriptor ${fd}`, 'dup3', [at, fd, closeOnExec ? O_CLOEXEC : 0]);
        batch.add('close a temporary descriptor', 'close', [at]);
      } else if (closeOnExec !== mostly) {
        batch.add(`set up descriptor ${fd}`, 'fcntl', [fd, F_SETFD, closeOnExec ? FD_CLOEXEC : 0]);
      }
      taken.add(fd);
    }
    this.#rebuild.flush();
    this.#assertArrived(control, size, arrived);
  }

  /** The kernel hands over fewer descriptors, without an error, when the limit of open files is reached. */
  #assertArrived(control: bigint, size: number, expected: readonly number[]): void {
    const memory = LocalMemory.scratch('recvmsg', 4096);
    readProcess(this.#rebuild.tracee.tid, memory.address, [{ address: control, length: size }]);
    const isComplete = expected.every((fd, index) => memory.view.getInt32(cmsghdr.size + index * 4, true) === fd);
    if (!isComplete)
      throw new StasisError('RESTART_FAILED', 'Cannot set up the descriptors: they did not arrive in the task', {
        phase: 'restore',
      });
  }

  /** The image's own limits are set at the end; until then the task has those of whoever restarts. */
  #raiseLimit(highest: number): void {
    const limit = readLimits(this.#rebuild.tracee.tid).find(({ resource }) => resource === RLIMIT_NOFILE);
    if (limit === undefined || BigInt(highest) < limit.soft) return;
    if (BigInt(highest) >= limit.hard) {
      const details = { phase: 'restore', hint: `Raise the limit first: ulimit -Hn ${highest + 1}` } as const;
      throw new StasisError('RESTART_FAILED', `Cannot set up descriptor ${highest}: the limit is ${limit.hard}`, details);
    }
    this.#rebuild.room(1, 64);
    const { batch } = this.#rebuild;
    const address = batch.data(new Uint8Array(BigUint64Array.of(limit.hard, limit.hard).buffer));
    batch.add('raise the limit of open files', 'prlimit64', [0, RLIMIT_NOFILE, address, 0]);
  }

  #call(action: string, name: 'close' | 'dup3' | 'close_range', parameters: readonly number[]): void {
    this.#rebuild.room(1);
    this.#rebuild.batch.add(action, name, parameters);
  }
}

/** The lowest `count` numbers from `from` that are not in `taken`. */
function* numbers(from: number, count: number, taken: ReadonlySet<number>): Generator<number> {
  for (let number = from, found = 0; found < count; number++) {
    if (taken.has(number)) continue;
    found++;
    yield number;
  }
}

function lowest(taken: ReadonlySet<number>): number {
  let number = 0;
  while (taken.has(number)) number++;
  return number;
}
