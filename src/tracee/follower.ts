/**
 * Asking the other threads of a process, all questions of a thread in one go: it runs a table of calls in the scratch page
 * that the first thread holds (injector.ts), and stops by a signal to itself that nothing happens by. Like the first it
 * heals itself, with code and data in a room of its own; the first one, should it heal, waits for it before it unmaps the
 * page. One thread at a time. What the first thread was asked is what each is asked; another question costs another go.
 */
import type { Registers } from '../arch/architecture.ts';
import { LocalMemory, syscall, syscallError } from '../linux/ffi.ts';
import { readProcess, writeProcess, type Range } from '../linux/process-memory.ts';
import { getSignalMask, PTRACE, setSignalMask } from '../linux/ptrace.ts';
import type { Status } from '../linux/proc/status.ts';
import type { SyscallName } from '../linux/syscalls.ts';
import type { Injector } from './injector.ts';
import type { Inquiry, Question } from './inquiry.ts';
import type { Tracee } from './tracee.ts';

const entrySize = 64;
const resultAt = 48;
const slotsAt = 2048;
const slotSize = 64;
export const busyAt = 4088;
/** Entries and the end mark lie below the slots, and these below the flag. */
const maxQuestions = 30;
const end = -1n;

/** Signals that are ignored where no handler is set, and neither stop nor continue anything. Source: man 7 signal. */
const silentSignals = [28, 23, 17]; // SIGWINCH, SIGURG, SIGCHLD

/** A signal by which the thread may stop itself: not caught, not waiting; best one that it does not block. */
export function silentSignal({ sigCgt, sigPnd, shdPnd, sigBlk }: Status): number | undefined {
  const bit = (signal: number): bigint => 1n << BigInt(signal - 1);
  const possible = silentSignals.filter((signal) => ((sigCgt | sigPnd | shdPnd) & bit(signal)) === 0n);
  return possible.find((signal) => (sigBlk & bit(signal)) === 0n) ?? possible[0];
}

interface Answer {
  readonly question: Question;
  readonly result: bigint;
  readonly bytes: Uint8Array;
}

export interface FollowerParts {
  readonly tracee: Tracee;
  /** The registers with which the thread shall go on. */
  readonly final: Registers;
  readonly first: Injector;
  readonly status: Status;
  /** By which it stops: {@link silentSignal}. */
  readonly signal: number;
  readonly questions: readonly Question[];
}

export class Follower implements Inquiry {
  readonly scratch: bigint;
  readonly signalMask: bigint;
  readonly #parts: FollowerParts;
  readonly #answers: Answer[] = [];
  #last: Answer | undefined;
  #next = 0;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.scratch = parts.first.scratch;
    this.signalMask = getSignalMask(parts.tracee.tid);
    for (let at = 0; at < parts.questions.length; at += maxQuestions)
      this.#answers.push(...this.#ask(parts.questions.slice(at, at + maxQuestions)));
  }

  call(name: SyscallName, parameters: readonly (number | bigint)[]): bigint {
    const question = { name, parameters: parameters.map(BigInt) };
    const expected = this.#answers[this.#next++];
    this.#last = expected !== undefined && isSame(expected.question, question) ? expected : this.#ask([question])[0];
    return this.#last?.result ?? 0n;
  }

  mustCall(name: SyscallName, parameters: readonly (number | bigint)[]): bigint {
    const result = this.call(name, parameters);
    if (result < 0n) throw syscallError(name, Number(result), `Cannot ask ${this.#parts.tracee.tid} about itself`);
    return result;
  }

  readScratch(length: number): DataView {
    const bytes = this.#last?.bytes.slice(0, length) ?? new Uint8Array(length);
    if (bytes.length < length) throw new RangeError('an answer is longer than its slot');
    return new DataView(bytes.buffer);
  }

  #ask(questions: readonly Question[]): Answer[] {
    const { tracee, final, first, status, signal } = this.#parts;
    const { tid, architecture } = tracee;
    const [tgid = 0, ownId = 0] = [status.nsTgid.at(-1), status.nsPid.at(-1)]; // as the thread itself knows them
    const busy = this.scratch + BigInt(busyAt);
    first.prepareFollower(architecture.followData(final, { busy, tgid, tid: ownId, signal, mask: this.signalMask }));
    const local = this.#writeTable(questions);
    // First the registers, then the signal mask: from here on the thread restores both by itself.
    tracee.setRegisters(architecture.batchAt(final, first.followCode, this.scratch));
    setSignalMask(tid, ~(1n << BigInt(signal - 1)));
    const ranges: Range[] = [
      { address: this.scratch, length: questions.length * entrySize },
      { address: this.scratch + BigInt(slotsAt), length: questions.length * slotSize },
      { address: busy, length: 4 },
    ];
    const slots = questions.length * entrySize;
    const flag = slots + questions.length * slotSize;
    tracee.resume(PTRACE.CONT);
    for (let foreign = false; ; foreign = true) {
      const stop = tracee.waitForTrap();
      if (stop.signal !== signal) throw new Error(`thread ${tid} got signal ${stop.signal} while it was asked`);
      readProcess(tid, local.address, ranges);
      if (local.view.getUint32(flag, true) === 0) {
        setSignalMask(tid, this.signalMask);
        tracee.setRegisters(final);
        // The same signal from elsewhere came first. It waits again where the thread blocks it; else nothing happens by it.
        if (foreign) syscall('tgkill', status.tgid, tid, signal);
        break;
      }
      tracee.resume(PTRACE.CONT);
    }
    return questions.map((question, index) => ({
      question,
      result: local.view.getBigInt64(index * entrySize + resultAt, true),
      bytes: local.bytes.slice(slots + index * slotSize, slots + (index + 1) * slotSize),
    }));
  }

  /** The table, and the flag that says that the page is in use. */
  #writeTable(questions: readonly Question[]): LocalMemory {
    const { tracee } = this.#parts;
    const local = LocalMemory.scratch('follower', 8192);
    const { view } = local;
    questions.forEach(({ name, parameters }, index) => {
      const at = index * entrySize;
      view.setBigInt64(at, BigInt(tracee.architecture.syscalls[name]), true);
      for (let parameter = 0; parameter < 5; parameter++) {
        const value = parameters[parameter] ?? 0n;
        const place = value === this.scratch ? value + BigInt(slotsAt + index * slotSize) : value;
        view.setBigUint64(at + 8 + parameter * 8, BigInt.asUintN(64, place), true);
      }
    });
    const length = questions.length * entrySize;
    view.setBigInt64(length, end, true);
    view.setUint32(length + 8, 1, true);
    writeProcess(tracee.tid, local.address, [
      { address: this.scratch, length: length + 8 },
      { address: this.scratch + BigInt(busyAt), length: 4 },
    ]);
    return local;
  }
}

function isSame(one: Question, other: Question): boolean {
  return one.name === other.name && one.parameters.every((value, index) => value === other.parameters[index]);
}
