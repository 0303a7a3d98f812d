/**
 * System calls made by a stopped task on our behalf, during a checkpoint. The task heals itself: should we die at any
 * instruction, it runs on through code that takes everything back (see arch/asm). The order of the steps below keeps
 * that true at every moment.
 */
import type { Registers } from '../arch/architecture.ts';
import type { SyscallName } from '../linux/syscalls.ts';
import { LocalMemory, syscallError } from '../linux/ffi.ts';
import { MemoryFile, readProcess, writeProcess } from '../linux/process-memory.ts';
import { getSignalMask, setSignalMask } from '../linux/ptrace.ts';
import { busyAt } from './follower.ts';
import type { Inquiry, Question } from './inquiry.ts';
import { saysVanished, type Tracee } from './tracee.ts';
import { assertRoom, codeSize, type Vdso } from './vdso.ts';

const allSignals = 0xffff_ffff_ffff_ffffn;
const pageSize = 4096;

export class Injector implements Disposable, Inquiry {
  /** A page of the task that injected calls may write to, or more after {@link enlarge}; it exists until dispose. */
  readonly scratch: bigint;
  /** The task's own signal mask; while it is driven, everything is blocked. */
  readonly signalMask: bigint;
  readonly #tracee: Tracee;
  readonly #final: Registers;
  readonly #vdso: Vdso;
  readonly #memory: MemoryFile;
  #local: LocalMemory;
  #scratchSize = pageSize;
  #open = true;
  #recorded: Question[] | undefined;
  #leads = false;

  /** `final`: the registers with which the task shall go on; `hole`: a free page in its address space. */
  constructor(tracee: Tracee, vdso: Vdso, final: Registers, hole: bigint) {
    const { architecture } = tracee;
    assertRoom(vdso, tracee.tid, architecture.code.heal);
    this.#tracee = tracee;
    this.#final = final;
    this.#vdso = vdso;
    this.scratch = hole;
    this.signalMask = getSignalMask(tracee.tid);
    this.#memory = new MemoryFile(tracee.tid);
    this.#local = LocalMemory.scratch('injector', pageSize);
    const code = new Uint8Array(codeSize);
    code.set(architecture.code.heal);
    code.set(architecture.code.clone, architecture.code.heal.length);
    code.set(architecture.healData(final, hole, BigInt(pageSize), this.signalMask), architecture.code.healDataOffset);
    this.#memory.write(vdso.room, code);
    // First the registers, then the signal mask: from here on the task restores both by itself.
    tracee.setRegisters(architecture.at(final, vdso.room + BigInt(architecture.syscallInstruction.length)));
    setSignalMask(tracee.tid, allSignals);
    const MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x100022;
    this.mustCall('mmap', [hole, pageSize, 3, MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0]);
  }

  get scratchSize(): number {
    return this.#scratchSize;
  }

  /** The result of the call in the task: minus the errno on failure. */
  call(name: SyscallName, parameters: readonly (number | bigint)[]): bigint {
    const { architecture } = this.#tracee;
    this.#recorded?.push({ name, parameters: parameters.map(BigInt) });
    this.#tracee.setRegisters(architecture.syscallAt(this.#final, this.#vdso.room, architecture.syscalls[name], parameters));
    this.#tracee.resumeToSyscallStop();
    this.#tracee.resumeToSyscallStop();
    return architecture.result(this.#tracee.getRegisters());
  }

  /** Where a clone() is injected; see `clone` in arch/asm. */
  get cloneInstruction(): bigint {
    return this.#vdso.room + BigInt(this.#tracee.architecture.code.heal.length);
  }

  mustCall(name: SyscallName, parameters: readonly (number | bigint)[]): bigint {
    const result = this.call(name, parameters);
    if (result < 0n) throw syscallError(name, Number(result), `Cannot ask ${this.#tracee.tid} about itself`);
    return result;
  }

  /** What the thread is asked by `work`. */
  record<T>(work: () => T): { result: T; questions: Question[] } {
    const questions: Question[] = [];
    this.#recorded = questions;
    try {
      return { result: work(), questions };
    } finally {
      this.#recorded = undefined;
    }
  }

  /** Where the code for the threads that follow begins; undefined when there is no room for it, or no such code. */
  get followRoom(): bigint | undefined {
    return this.#tracee.architecture.code.follow === undefined ? undefined : this.#vdso.followRoom;
  }

  /** The same for who knows that there is room. */
  get followCode(): bigint {
    return this.followRoom ?? noRoom();
  }

  /** Lays down what the next thread to follow needs to heal itself; with the first one, the code, and this thread waits for them. */
  prepareFollower(data: Uint8Array): void {
    const { code } = this.#tracee.architecture;
    const { follow } = code;
    const room = this.followCode;
    if (follow === undefined) noRoom();
    if (!this.#leads) {
      this.#memory.write(room, follow.code);
      const busy = new Uint8Array(BigUint64Array.of(this.scratch + BigInt(busyAt)).buffer);
      this.#memory.write(this.#vdso.room + BigInt(code.healDataOffset), busy);
      this.#leads = true;
    }
    this.#memory.write(room + BigInt(follow.dataOffset), data);
  }

  /** Makes the task execute a program: on return it is stopped before that program's first instruction. */
  execute(path: string): void {
    const text = Buffer.from(`${path}\0`);
    const words = (text.length + 7) & ~7;
    const { bytes, view, address } = this.#local;
    bytes.set(text);
    view.setBigUint64(words, this.scratch, true);
    view.setBigUint64(words + 8, 0n, true);
    writeProcess(this.#tracee.tid, address, [{ address: this.scratch, length: words + 16 }]);
    const { architecture } = this.#tracee;
    const list = this.scratch + BigInt(words);
    const parameters = [this.scratch, list, list + 8n];
    this.#tracee.setRegisters(architecture.syscallAt(this.#final, this.#vdso.room, architecture.syscalls.execve, parameters));
    this.#tracee.resumeToSyscallStop();
    if (!this.#tracee.resumeIntoExec()) {
      throw syscallError('execve', Number(architecture.result(this.#tracee.getRegisters())), `Cannot execute ${path}`);
    }
    this.#open = false; // nothing of the old address space is left to heal
    this.#memory[Symbol.dispose]();
  }

  /** Makes room for `size` bytes where the scratch page is. */
  enlarge(size: number): void {
    if (size <= this.#scratchSize) return;
    // First what is to be healed: giving back more than there is does no harm. The length is the third datum.
    const length = new Uint8Array(BigUint64Array.of(BigInt(size)).buffer);
    this.#memory.write(this.#vdso.room + BigInt(this.#tracee.architecture.code.healDataOffset + 16), length);
    this.mustCall('mremap', [this.scratch, this.#scratchSize, size, 0, 0]);
    this.#scratchSize = size;
    this.#local = LocalMemory.scratch('large injector', size);
  }

  /** A copy of what an injected call wrote to the scratch page. */
  readScratch(length: number): DataView {
    readProcess(this.#tracee.tid, this.#local.address, [{ address: this.scratch, length }]);
    const copy = this.#local.bytes.slice(0, length);
    return new DataView(copy.buffer);
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    const { architecture } = this.#tracee;
    try {
      if (!this.#tracee.attached) return;
      // Nobody follows any more; should we die when the page is gone, the flag in it must not be looked at.
      if (this.#leads) this.#memory.write(this.#vdso.room + BigInt(architecture.code.healDataOffset), new Uint8Array(8));
      this.mustCall('munmap', [this.scratch, this.#scratchSize]);
      setSignalMask(this.#tracee.tid, this.signalMask);
      this.#tracee.setRegisters(this.#final);
      this.#memory.write(this.#vdso.room, new Uint8Array(codeSize));
      if (this.#leads) this.#memory.write(this.followCode, new Uint8Array(codeSize));
    } catch (error) {
      if (!saysVanished(error)) throw error; // else there is nothing to heal
    } finally {
      this.#memory[Symbol.dispose]();
    }
  }
}

function noRoom(): never {
  throw new RangeError('there is no room for following threads');
}
