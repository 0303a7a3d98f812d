/** A process under restart: the calls that the records ask for, gathered and run in it, until it is whole. */
import { architectureOfVdso } from './arch/recognise.ts';
import type { Registers } from './arch/architecture.ts';
import { StasisError } from './errors.ts';
import { clone_args } from './linux/abi/clone.ts';
import { syscall } from './linux/ffi.ts';
import { maxRanges, MemoryFile, writeProcess, type Range } from './linux/process-memory.ts';
import { readStat, type Stat } from './linux/proc/stat.ts';
import { readStatus, type Status } from './linux/proc/status.ts';
import { readFds } from './linux/proc/fds.ts';
import { PTRACE, setSignalMask } from './linux/ptrace.ts';
import { DescriptorBuilder } from './objects/descriptor-builder.ts';
import type { LocalDescriptors } from './objects/local-descriptors.ts';
import type { EarlierMemory, FilePlace, Finals, Rebuild, Surroundings, ThreadFinals } from './objects/object.ts';
import type { Rollback } from './objects/rollback.ts';
import { pidRefused } from './tracee/pids.ts';
import type { ImageRebuild } from './rebuild-image.ts';
import { Area, type Batch } from './tracee/batch.ts';
import { saysVanished, Tracee } from './tracee/tracee.ts';
import { noteSize } from './tracee/sleep-note.ts';
import { findSyscallInstruction, type Vdso } from './tracee/vdso.ts';

/** How a restart gets the task that becomes the program: stopped at the execve of `path`, before its first instruction. */
export type Birth = (path: string, systemCalls: boolean, formerPid: number) => Tracee;

/** Since Linux 5.14; where it is missing the pages come one by one, as they are written. Source: man 2 madvise. */
const MADV_POPULATE_WRITE = 23;
/** Bytes. Below that a call costs more than it saves. */
const worthPopulating = 16 * 4096;
/** Bytes. Below that we copy them. */
const worthReading = 64 * 4096;

const allButTrap = 0xffff_ffff_ffff_ffefn; // SIGTRAP ends our batches

/** A thread under restart, with the steps that make it whole. */
interface ThreadRebuild extends ThreadFinals {
  tracee?: Tracee;
  /** The working area as this thread uses it. */
  area?: Area;
}

/** Memory on its way. */
interface Arriving {
  readonly batch: Batch;
  readonly ranges: readonly Range[];
  /** Where it lies in our memory, unless the task reads it. */
  readonly from: bigint;
  readonly reads: readonly PendingRead[] | undefined;
  /** The task does nothing else: all mappings exist already. */
  readonly onlyMemory: boolean;
}

interface PendingRead {
  /** Of the call in its batch. */
  readonly index: number;
  readonly length: number;
}

function addReads(batch: Batch, fd: number, ranges: readonly Range[], offset: number): PendingRead[] {
  const reads: PendingRead[] = [];
  let at = offset;
  for (let first = 0; first < ranges.length; first += maxRanges) {
    const part = ranges.slice(first, first + maxRanges);
    const vectors = new BigUint64Array(part.flatMap(({ address, length }) => [address, BigInt(length)]));
    const length = part.reduce((sum, range) => sum + range.length, 0);
    const parameters = [fd, batch.data(new Uint8Array(vectors.buffer)), part.length, at, 0];
    reads.push({ index: batch.add('read memory from the image', 'preadv', parameters), length });
    at += length;
  }
  return reads;
}

export class TaskRebuild implements Rebuild, Disposable {
  readonly image: ImageRebuild;
  readonly finals: Finals = { calls: [], lastCalls: [], armCalls: [], injected: [], timers: new Map(), filters: new Map() };
  readonly #birth: Birth;
  #leader: ThreadRebuild | undefined;
  readonly #followers: ThreadRebuild[] = [];
  /** The thread whose record is open. */
  #thread: ThreadRebuild | undefined;
  /** The working area, as the thread that is being worked on uses it. */
  #area: Area | undefined;
  #batch: Batch | undefined;
  #arriving: Arriving | undefined;
  /** See {@link TaskRebuild.#imageIn}. */
  #imageFd: number | undefined;
  #descriptors: DescriptorBuilder | undefined;
  #surroundings: Surroundings | undefined;
  #fresh: { readonly status: Status; readonly stat: Stat } | undefined;
  #instruction = 0n;
  /** Where the next note goes, and how many more. */
  #notes = { at: 0n, count: 0 };

  constructor(image: ImageRebuild, birth: Birth) {
    this.image = image;
    this.#birth = birth;
  }

  get replacedFds(): ReadonlyMap<number, number> {
    const chosen = this.image.isRoot(this) ? Object.entries(this.image.options.inherit ?? {}) : [];
    return new Map(chosen.map(([fd, own]) => [Number(fd), own]));
  }

  get acceptChangedFiles(): boolean {
    return this.image.options.acceptChangedFiles;
  }

  get earlier(): EarlierMemory | undefined {
    return this.image.earlier;
  }

  get described(): Map<number, unknown> {
    return this.image.described;
  }

  get checkedFiles(): Set<string> {
    return this.image.checkedFiles;
  }

  get locals(): LocalDescriptors {
    return this.image.locals;
  }

  get notes(): string[] {
    return this.image.notes;
  }

  execute(path: string): void {
    const pid = this.finals.pid ?? early('the task');
    const tracee = this.#birth(path, this.finals.systemCalls === true, pid);
    this.#leader = { tracee, formerTid: pid, ...noSteps() };
    tracee.resumeToSyscallStop(); // the exit of execve
    setSignalMask(tracee.tid, allButTrap);
    const inherited = new Set(readFds(tracee.tid).map(({ fd }) => fd));
    this.locals.inherit(tracee.tid, inherited);
    this.#surroundings = { ...this.image.options.surroundings, inherited };
  }

  inherit(): void {
    const pid = this.finals.pid ?? early('the task');
    const { adopt } = this.image.options;
    if (adopt !== undefined && this.image.isRoot(this)) return this.#adopt(adopt.tracee, adopt.streams, pid);
    const { area, from } = this.image.family.fork(pid);
    this.#area = area;
    this.#leader = { tracee: area.tracee, formerTid: pid, ...noSteps() };
    this.#instruction = from.#instruction;
    this.#notes = { ...from.#notes };
    this.#surroundings = { ...this.image.options.surroundings, inherited: from.surroundings.inherited };
    this.image.family.settle(pid, this);
  }

  /** A copy of a stopped task's memory, without descriptors. */
  #adopt(tracee: Tracee, streams: ReadonlyMap<number, number>, pid: number): void {
    tracee.beDriven();
    this.#leader = { tracee, formerTid: pid, ...noSteps() };
    setSignalMask(tracee.tid, allButTrap);
    this.locals.lend(streams);
    this.#surroundings = { ...this.image.options.surroundings, inherited: new Set() };
  }

  get hasArea(): boolean {
    return this.#area !== undefined;
  }

  get leader(): Tracee {
    return this.#leader?.tracee ?? early('the executable');
  }

  get fresh(): { readonly status: Status; readonly stat: Stat } {
    const { tid } = this.leader;
    return (this.#fresh ??= { status: readStatus(tid), stat: readStat(tid) });
  }

  get tracee(): Tracee {
    return this.#area?.tracee ?? this.leader;
  }

  get thread(): ThreadFinals {
    return this.#thread ?? early('the thread');
  }

  beginThread(tid: number): void {
    const leader = this.#leader ?? early('the executable');
    if (tid === this.finals.pid) {
      this.#thread = leader;
      return;
    }
    this.#thread = { formerTid: tid, ...noSteps() };
    this.#followers.push(this.#thread);
  }

  /** The threads, stopped before their first instruction, with their former ids as far as the kernel gives them. */
  #makeThreads(): void {
    const CLONE_VM_FS_FILES_SIGHAND_THREAD_SYSVSEM = 0x50f00n;
    const CLONE_PTRACE = 0x2000n; // traced from its begin, and its maker notices nothing
    const flags = CLONE_VM_FS_FILES_SIGHAND_THREAD_SYSVSEM | CLONE_PTRACE;
    this.flush();
    const wanted = this.#cloneAll(this.#followers, ({ batch }, { formerTid }) => {
      const set_tid = batch.data(new Uint8Array(Int32Array.of(formerTid).buffer));
      const bytes = clone_args.make({ flags, set_tid, set_tid_size: 1n });
      batch.add('make a thread', 'clone3', [batch.data(bytes), bytes.length], { mayFail: true });
    });
    const refused = this.#followers.filter((_, index) => (wanted[index] ?? 0) < 0);
    const [first] = refused;
    if (first !== undefined && this.image.options.pids === 'same')
      throw pidRefused(first.formerTid, wanted[this.#followers.indexOf(first)] ?? 0);
    this.#cloneAll(refused, ({ batch }) => batch.add('make a thread', 'clone', [flags, 0, 0, 0, 0]));
  }

  /** Results by index: the new id, or minus the errno. */
  #cloneAll(threads: readonly ThreadRebuild[], add: (rebuild: this, thread: ThreadRebuild) => void): number[] {
    const results: number[] = [];
    for (const thread of threads) {
      if (!this.batch.hasRoom(1, 256)) results.push(...this.flush().map(Number));
      add(this, thread);
    }
    results.push(...this.flush().map(Number));
    const made = threads.filter((thread, index) => {
      const tid = results[index] ?? 0;
      if (tid > 0) thread.tracee = Tracee.born(tid, this.leader.architecture);
      return tid > 0;
    });
    for (const { tracee } of made) tracee?.awaitStop();
    return results;
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

  /**
   * The task does it itself, beside us: meanwhile we read and check what comes next. When the next comes before it is done,
   * that one is ours to copy, so that neither waits for the other.
   */
  arrive(ranges: readonly Range[], data: Uint8Array, file?: FilePlace): void {
    if (this.#arriving?.onlyMemory === true && !this.tracee.hasStopped) {
      this.#write(ranges, this.#inOurMemory(data));
      return;
    }
    const image = file === undefined || data.length < worthReading ? -1 : this.#imageIn(file.fd);
    this.room(2 * ranges.length, 16 * ranges.length + 64);
    const { batch } = this;
    const onlyMemory = batch.size === 0;
    for (const { address, length } of ranges) {
      if (length >= worthPopulating)
        batch.add('populate memory', 'madvise', [address, length, MADV_POPULATE_WRITE], { mayFail: true });
    }
    const reads = file === undefined || image < 0 ? undefined : addReads(batch, image, ranges, file.offset);
    this.#batch = undefined;
    const from = reads === undefined ? this.#inOurMemory(data) : 0n;
    if (reads === undefined) this.image.buffers.advance();
    if (batch.size > 0) batch.start();
    this.#arriving = { batch, ranges, from, reads, onlyMemory };
  }

  #inOurMemory(data: Uint8Array): bigint {
    const local = this.image.buffers.next;
    if (data.buffer !== local.bytes.buffer) local.bytes.set(data); // else the reader put it there
    return local.address;
  }

  /** The image as an open file of the task, out of the way of the low numbers, until its descriptors are set up; negative if it has none. */
  #imageIn(fd: number): number {
    if (this.#imageFd !== undefined) return this.#imageFd;
    if (this.tracee.architecture.name !== 'x86_64') return (this.#imageFd = -1);
    const [AT_FDCWD, O_CLOEXEC, F_DUPFD_CLOEXEC, outOfTheWay] = [-100, 0o2000000, 1030, 200];
    this.room(3, 64);
    const { batch, freeFd } = this;
    const mayFail = { mayFail: true };
    batch.add('open the image', 'openat', [AT_FDCWD, batch.text(`/proc/${process.pid}/fd/${fd}`), O_CLOEXEC, 0], mayFail);
    const index = batch.add('put the image aside', 'fcntl', [freeFd, F_DUPFD_CLOEXEC, outOfTheWay], mayFail);
    batch.add('close a descriptor', 'close', [freeFd], mayFail);
    this.#imageFd = Number(this.flush()[index]);
    return this.#imageFd;
  }

  #settle(): void {
    const arriving = this.#arriving;
    if (arriving === undefined) return;
    this.#arriving = undefined;
    const { batch, ranges, reads, from } = arriving;
    const results = batch.size > 0 ? batch.finish() : [];
    if (reads === undefined) this.#write(ranges, from);
    for (const { index, length } of reads ?? []) {
      if (Number(results[index]) !== length)
        throw new StasisError('IMAGE', `The task read ${results[index]} bytes of its memory from the image, not ${length}`);
    }
  }

  #write(ranges: readonly Range[], local: bigint): void {
    let from = local;
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
    const architecture = architectureOfVdso(vdso.bytes);
    this.tracee.architecture = architecture;
    this.#instruction = findSyscallInstruction(vdso, architecture.abi.instruction);
    this.#notes = { ...vdso.notes };
    this.#area = Area.make(this.tracee, this.#instruction, hole);
    this.image.family.settle(this.finals.pid ?? early('the task'), this);
    return this.#area;
  }

  vdsoMoved(distance: bigint): void {
    this.#instruction += distance;
    this.#notes.at += distance;
    this.area.movedInstruction(this.#instruction);
  }

  writeNote(note: Uint8Array): void {
    const notes = this.#notes;
    if (notes.count-- <= 0) return; // what it would have told the next checkpoint can only be estimated then
    using memory = new MemoryFile(this.tracee.tid);
    memory.write(notes.at, note);
    notes.at += BigInt(noteSize);
  }

  /** Everything has been read: gives the process its boundaries and descriptors. */
  equip(): void {
    const { finals } = this;
    if (finals.boundaries === undefined || this.#leader?.registers === undefined)
      throw new StasisError('IMAGE', 'The image holds no whole task');
    this.room(1, 8192);
    finals.boundaries();
    this.descriptors.build();
    this.flush();
    this.#makeThreads();
  }

  /** Makes the calls that give the process and its threads the rest of their past. */
  complete(): void {
    const { finals } = this;
    for (const step of finals.calls) step();
    for (const thread of this.#threads) this.#runAs(thread, [...thread.calls, ...thread.lastCalls]);
    this.room(finals.lastCalls.length);
    for (const step of [...finals.lastCalls, ...finals.armCalls]) step();
    this.flush();
    for (const thread of this.#threads) this.#runAs(thread, thread.injected);
    for (const step of finals.injected) step();
    for (const thread of this.#threads) if (thread.fallAsleep !== undefined) this.#runAs(thread, [thread.fallAsleep]);
    for (const thread of this.#threads) this.#runAs(thread, thread.locks);
    this.area.remove();
    for (const thread of this.#threads) this.#runAs(thread, [() => thread.registers?.()]);
    if (finals.stopped === true) syscall('kill', this.leader.tid, 19);
  }

  get ids(): ReadonlyMap<number, number> {
    return this.image.ids;
  }

  get threadIds(): ReadonlyMap<number, number> {
    return new Map(this.#threads.map(({ formerTid, tracee }) => [formerTid, tracee?.tid ?? 0]));
  }

  runAs(formerTid: number | undefined, step: () => void): void {
    const thread = this.#threads.find((one) => one.formerTid === formerTid);
    this.#runAs(thread ?? this.#leader ?? early('the executable'), [step]);
  }

  /** The leader last. */
  get #threads(): ThreadRebuild[] {
    return [...this.#followers, this.#leader ?? early('the executable')];
  }

  /** From here on it does not end with us. */
  outlive(): void {
    for (const { tracee } of this.#followers) tracee?.outlive();
    this.leader.outlive();
  }

  /** Lets it go. */
  release(): void {
    for (const { tracee } of this.#followers) tracee?.detach();
    this.leader.detach();
  }

  /** Runs the steps with this thread as the one that is worked on, the leader being it otherwise. */
  #runAs(thread: ThreadRebuild, steps: readonly (() => void)[]): void {
    const { area } = this;
    if (steps.length === 0) return;
    if (area.tracee === thread.tracee) return steps.forEach((step) => step());
    this.flush();
    thread.area ??= area.usedBy(thread.tracee ?? early('its threads'));
    this.#area = thread.area;
    try {
      for (const step of steps) step();
      this.flush();
    } finally {
      this.#area = area;
    }
  }

  /** Removes what was made. With an exit code the process ends itself, so that whoever waits for it sees that code. */
  abort(exitCode?: number): void {
    const tracee = this.#leader?.tracee;
    if (tracee === undefined || !tracee.attached || this.image.options.keepOnFailure?.() === true) return;
    this.#awaitBatch();
    if (exitCode === undefined || this.#area === undefined) tracee.sendKill();
    else this.#exit(tracee, tracee.architecture.programCallAt(this.#area.registers, this.#instruction, 'exit_group', [exitCode]));
    // The kernel keeps a leader until whoever traces the other threads has heard of their end.
    for (const { tracee: follower } of this.#followers) follower?.reap();
    tracee.reap();
  }

  #exit(tracee: Tracee, registers: Registers): void {
    try {
      tracee.setRegisters(registers);
      tracee.resume(PTRACE.CONT);
    } catch (error) {
      if (!saysVanished(error)) throw error; // else it has ended already
    }
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

  get rollback(): Rollback {
    return this.image.rollback;
  }

  get processIds(): ReadonlyMap<number, number> {
    return this.image.processIds;
  }

  whenReleased(step: () => void): void {
    this.image.released.push(step);
  }

  keep(resource: Disposable): void {
    this.image.kept.push(resource);
  }

  [Symbol.dispose](): void {
    this.#area?.[Symbol.dispose]();
  }
}

function noSteps(): Pick<ThreadFinals, 'calls' | 'lastCalls' | 'injected' | 'locks'> {
  return { calls: [], lastCalls: [], injected: [], locks: [] };
}

function early(what: string): never {
  throw new StasisError('IMAGE', `The image holds a record before ${what}`);
}
