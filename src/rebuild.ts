/** A task under restart: the calls that the records ask for, gathered and run in it, until it is whole. */
import { x86_64 } from './arch/x86_64.ts';
import { StasisError } from './errors.ts';
import { syscall } from './linux/ffi.ts';
import { maxRanges, MemoryFile, writeProcess, type Range } from './linux/process-memory.ts';
import { readFds } from './linux/proc/fds.ts';
import { PTRACE, setSignalMask } from './linux/ptrace.ts';
import { DescriptorBuilder } from './objects/descriptor-builder.ts';
import { LocalDescriptors } from './objects/local-descriptors.ts';
import type { Finals, Rebuild, Surroundings } from './objects/object.ts';
import { PageBuffers } from './objects/pages.ts';
import { Area, type Batch } from './tracee/batch.ts';
import type { Tracee } from './tracee/tracee.ts';
import { findSyscallInstruction, noteOffset, type Vdso } from './tracee/vdso.ts';

/** How a restart gets the task that becomes the program: stopped at the execve of `path`, before its first instruction. */
export type Birth = (path: string, systemCalls: boolean) => Tracee;

export interface RebuildOptions {
  readonly birth: Birth;
  readonly acceptChangedFiles: boolean;
  readonly surroundings: Omit<Surroundings, 'inherited'>;
  /** The task is not ours to remove (yet) when the restart fails. */
  readonly keepOnFailure?: () => boolean;
}

/** Since Linux 5.14; where it is missing the pages come one by one, as they are written. Source: man 2 madvise. */
const MADV_POPULATE_WRITE = 23;
/** Bytes. Below that a call costs more than it saves. */
const worthPopulating = 16 * 4096;

const allButTrap = 0xffff_ffff_ffff_ffefn; // SIGTRAP ends our batches

export class TaskRebuild implements Rebuild, Disposable {
  readonly acceptChangedFiles: boolean;
  readonly described: Map<number, unknown> = new Map();
  readonly checkedFiles: Set<string> = new Set();
  readonly notes: string[] = [];
  readonly locals: LocalDescriptors = new LocalDescriptors();
  readonly finals: Finals = { calls: [], lastCalls: [] };
  /** Where the bytes of pages arrive from the image. */
  readonly buffers: PageBuffers = new PageBuffers();
  readonly #options: RebuildOptions;
  #tracee: Tracee | undefined;
  #area: Area | undefined;
  #batch: Batch | undefined;
  #arriving: { readonly batch: Batch; readonly ranges: readonly Range[]; readonly from: bigint } | undefined;
  #descriptors: DescriptorBuilder | undefined;
  #surroundings: Surroundings | undefined;
  #instruction = 0n;
  #noteAt = 0n;

  constructor(options: RebuildOptions) {
    this.#options = options;
    this.acceptChangedFiles = options.acceptChangedFiles;
  }

  execute(path: string): void {
    const tracee = this.#options.birth(path, this.finals.systemCalls === true);
    this.#tracee = tracee;
    tracee.resumeToSyscallStop(); // the exit of execve
    setSignalMask(tracee.tid, allButTrap);
    const inherited = new Set(readFds(tracee.tid).map(({ fd }) => fd));
    this.locals.inherit(tracee.tid, inherited);
    this.#surroundings = { ...this.#options.surroundings, inherited };
  }

  get tracee(): Tracee {
    return this.#tracee ?? early('the executable');
  }

  get area(): Area {
    return this.#area ?? early('the address space');
  }

  get batch(): Batch {
    this.#settle();
    return (this.#batch ??= this.area.batch());
  }

  get surroundings(): Surroundings {
    return this.#surroundings ?? early('the executable');
  }

  get descriptors(): DescriptorBuilder {
    return (this.#descriptors ??= new DescriptorBuilder(this));
  }

  get freeFd(): number {
    for (let fd = 0; ; fd++) if (!this.surroundings.inherited.has(fd)) return fd;
  }

  flush(): bigint[] {
    this.#settle();
    const batch = this.#batch;
    this.#batch = undefined;
    return batch?.run() ?? [];
  }

  /** The task takes its page faults itself, all at once, beside us: meanwhile we read and check what comes next. */
  arrive(ranges: readonly Range[], data: Uint8Array): void {
    this.room(ranges.length);
    const { batch } = this;
    for (const { address, length } of ranges) {
      if (length >= worthPopulating)
        batch.add('populate memory', 'madvise', [address, length, MADV_POPULATE_WRITE], { mayFail: true });
    }
    this.#batch = undefined;
    const local = this.buffers.next;
    if (data.buffer !== local.bytes.buffer) local.bytes.set(data); // else the reader put it there
    this.buffers.advance();
    if (batch.size > 0) batch.start();
    this.#arriving = { batch, ranges, from: local.address };
  }

  #settle(): void {
    const arriving = this.#arriving;
    if (arriving === undefined) return;
    this.#arriving = undefined;
    const { batch, ranges } = arriving;
    if (batch.size > 0) batch.finish();
    let { from } = arriving;
    for (let index = 0; index < ranges.length; index += maxRanges) {
      const part = ranges.slice(index, index + maxRanges);
      writeProcess(this.tracee.tid, from, part);
      from += BigInt(part.reduce((sum, range) => sum + range.length, 0));
    }
  }

  room(calls: number, bytes = 0): void {
    if (!this.batch.hasRoom(calls, bytes)) this.flush();
  }

  makeArea(vdso: Vdso, hole: bigint): Area {
    this.#instruction = findSyscallInstruction(vdso, x86_64.syscallInstruction);
    this.#noteAt = vdso.room + BigInt(noteOffset);
    this.#area = new Area(this.tracee, this.#instruction, hole);
    return this.#area;
  }

  vdsoMoved(distance: bigint): void {
    this.#instruction += distance;
    this.#noteAt += distance;
    this.area.movedInstruction(this.#instruction);
  }

  writeNote(note: Uint8Array): void {
    using memory = new MemoryFile(this.tracee.tid);
    memory.write(this.#noteAt, note);
  }

  /** Everything has been read: gives the task the rest of its past and lets it go. */
  finish(): void {
    const { finals } = this;
    if (finals.boundaries === undefined || finals.registers === undefined)
      throw new StasisError('IMAGE', 'The image holds no whole task');
    this.room(1, 8192);
    finals.boundaries();
    this.descriptors.build();
    for (const step of finals.calls) step();
    this.room(finals.lastCalls.length);
    for (const step of finals.lastCalls) step();
    this.flush();
    finals.registers();
    if (finals.stopped === true) syscall('kill', this.tracee.tid, 19);
    this.tracee.detach();
  }

  /** Removes what was made. With an exit code the task ends itself, so that whoever waits for it sees that code. */
  abort(exitCode?: number): void {
    const tracee = this.#tracee;
    if (tracee === undefined || !tracee.attached || this.#options.keepOnFailure?.() === true) return;
    this.#awaitBatch();
    if (exitCode !== undefined && this.#area !== undefined) {
      try {
        const registers = x86_64.syscallAt(this.#area.registers, this.#instruction, x86_64.syscalls.exit_group, [exitCode]);
        tracee.setRegisters(registers);
        tracee.resume(PTRACE.CONT);
        for (;;) {
          tracee.wait();
          tracee.resume(PTRACE.CONT);
        }
      } catch {
        if (!tracee.attached) return; // it has ended, as it should
      }
    }
    tracee.kill();
  }

  /** The task may be at work: only a stopped one can be given other work. */
  #awaitBatch(): void {
    const batch = this.#arriving?.batch;
    this.#arriving = undefined;
    try {
      if (batch !== undefined && batch.size > 0) batch.finish();
    } catch {
      // it ends in any case
    }
  }

  [Symbol.dispose](): void {
    this.#area?.[Symbol.dispose]();
    this.buffers[Symbol.dispose]();
    this.locals[Symbol.dispose]();
  }
}

function early(what: string): never {
  throw new StasisError('IMAGE', `The image holds a record before ${what}`);
}
