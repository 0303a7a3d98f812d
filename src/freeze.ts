/** Stopping processes with all their threads, and finding out in what state they were. */
import { CannotCarryError, StasisError, type Blocker } from './errors.ts';
import { architectureOf, architectureOfVdso } from './arch/recognise.ts';
import { withEarlierFlags, type KnownVmas } from './known-vmas.ts';
import { readMaps } from './linux/proc/maps.ts';
import { readSmaps, type SmapsVma } from './linux/proc/smaps.ts';
import { readStat, type Stat } from './linux/proc/stat.ts';
import { readStatus, type Status } from './linux/proc/status.ts';
import { readChildren, readTasks } from './linux/proc/tasks.ts';
import { getRseqConfiguration, PTRACE } from './linux/ptrace.ts';
import { errno, restartErrno } from './linux/errno.ts';
import { LocalMemory } from './linux/ffi.ts';
import { readProcess } from './linux/process-memory.ts';
import type { Architecture, Registers } from './arch/architecture.ts';
import { compensate, settle, type Settled } from './tracee/interrupted-call.ts';
import { sleepStart } from './tracee/sleep-start.ts';
import { saysVanished, Tracee } from './tracee/tracee.ts';
import { inRoom, notesOf, readVdso, type Vdso } from './tracee/vdso.ts';

/** One stopped thread. */
export interface FrozenThread {
  readonly tracee: Tracee;
  readonly status: Status;
  readonly stat: Stat;
  /** As found. */
  readonly registers: Registers;
  /** As it goes on. */
  readonly settled: Settled;
  /** CLOCK_MONOTONIC at its stop, nanoseconds. */
  readonly at: bigint;
}

/** A process all of whose threads are stopped. */
export interface FrozenProcess {
  readonly pid: number;
  readonly leader: FrozenThread;
  /** The other threads. */
  readonly followers: readonly FrozenThread[];
  readonly groupStop: boolean;
  readonly vmas: readonly SmapsVma[];
  readonly vdso: Vdso;
}

/** What is stopped. Disposing lets it go on where it was, its time limits unaffected by the stop. */
export interface Frozen extends Disposable {
  /** Parents before their children. */
  readonly processes: readonly FrozenProcess[];
  /** Processes that have ended and that their parent has not waited for. */
  readonly zombies: readonly Stat[];
  /** The process that was asked for. */
  readonly root: FrozenProcess;
  /** performance.now() at the moment it was asked to stop. */
  readonly since: number;
}

/** A thread of a 64-bit program in 32-bit code or the other way round, or in a code segment of its own making. */
function otherMode(tid: number, { name }: Architecture, { cs = 0n }: Registers): Blocker {
  return {
    object: `thread ${tid}`,
    place: `code segment 0x${cs.toString(16)}`,
    reason: `it executes code that is not ${name}, as its program is`,
    remedy: 'Try again when it is back in ordinary code',
  };
}

/** A thread from the moment it was asked to stop. */
interface Stopped {
  readonly tracee: Tracee;
  readonly asleepSince: bigint | undefined;
  groupStop: boolean;
  /** CLOCK_MONOTONIC, nanoseconds. */
  at: bigint;
}

/**
 * Stops the process and, with `descendants`, the whole tree below it. `known`: the mappings as they were a moment ago. With
 * them the page tables, which the kernel walks for /proc/PID/smaps (11 ms per GiB), are left alone; the caller finds out
 * later whether their flags were still true.
 */
export function freeze(pid: number, { descendants, known }: { descendants: boolean; known?: KnownVmas }): Frozen {
  const stopping = new Stopping();
  try {
    if (descendants) stopping.stopTree(pid);
    else stopping.stopProcess(pid);
    const since = stopping.since ?? performance.now();
    const root = describeProcess(pid, stopping.threadsOf(pid), known);
    const others = stopping.pids.filter((other) => other !== pid);
    const processes = [root, ...others.map((other) => describeProcess(other, stopping.threadsOf(other), known))];
    const zombies = [...stopping.zombies].map((zombie) => readStat(zombie));
    return { processes, root, zombies, since, [Symbol.dispose]: () => release(processes, since) };
  } catch (error) {
    stopping.letGo();
    throw error;
  }
}

/** All threads that were asked to stop so far. */
class Stopping {
  readonly #threads = new Map<number, Map<number, Stopped>>();
  readonly zombies = new Set<number>();
  since: number | undefined;

  /** The processes, parents before their children. */
  get pids(): number[] {
    return [...this.#threads.keys()];
  }

  /** A process that has stopped makes no more children; one that ended leaves its own to another, who may be among us. */
  stopTree(pid: number): void {
    this.stopProcess(pid);
    for (let before = 0; before < this.#threads.size;) {
      before = this.#threads.size;
      for (const parent of this.pids) for (const child of this.#childrenOf(parent)) this.#stopChild(child);
    }
  }

  #childrenOf(pid: number): number[] {
    return [...(this.#threads.get(pid)?.keys() ?? [])].flatMap((tid) => readChildren(pid, tid));
  }

  #stopChild(pid: number): void {
    if (this.#threads.has(pid) || this.zombies.has(pid)) return;
    try {
      if (isZombie(pid)) this.zombies.add(pid);
      else this.stopProcess(pid);
    } catch (error) {
      if (!saysVanished(error)) throw error;
      this.#threads.delete(pid);
      // Its parent is stopped and has not waited for it: it is there still, unless it is reaped by itself.
      if (isZombie(pid)) this.zombies.add(pid);
    }
  }

  /** Threads that were made or that ended while others were being stopped are found by looking again. */
  stopProcess(pid: number): void {
    const { state, num_threads } = readStat(pid);
    if (state === 'Z' && num_threads > 1) throw leaderEnded(pid);
    const threads = new Map<number, Stopped>();
    this.#threads.set(pid, threads);
    for (;;) {
      const listed = new Set(readTasks(pid));
      for (const [tid, { tracee }] of threads) {
        if (listed.has(tid)) continue;
        threads.delete(tid); // it ended all the same
        letGo(tracee);
      }
      const news = [...listed].filter((tid) => !threads.has(tid));
      if (news.length === 0) return;
      const seized: Stopped[] = [];
      for (const tid of news) {
        const stopped = seizeIfAlive(tid, tid === pid);
        if (stopped === undefined) continue;
        threads.set(tid, stopped);
        seized.push(stopped);
      }
      if (seized.length === 0) return; // those that were listed have ended
      // Between the list and the seizing an id may have passed to a thread of somebody else. Ours keep theirs from here on.
      const ours = new Set(readTasks(pid));
      for (const { tracee } of seized) {
        if (ours.has(tracee.tid)) continue;
        threads.delete(tracee.tid);
        letGo(tracee);
      }
      this.since ??= performance.now();
      const own = seized.filter(({ tracee }) => threads.has(tracee.tid));
      for (const { tracee } of own) tracee.requestStop();
      for (const stopped of own) {
        try {
          stopped.groupStop = stopped.tracee.awaitStop().groupStop;
          stopped.at = process.hrtime.bigint();
        } catch (error) {
          if (stopped.tracee.tid === pid || !saysVanished(error)) throw error;
          threads.delete(stopped.tracee.tid); // it ended before it stopped
        }
      }
    }
  }

  threadsOf(pid: number): Stopped[] {
    return [...(this.#threads.get(pid)?.values() ?? [])];
  }

  /** Before anything is known of the threads: no call of theirs may answer EINTR for our stop. */
  letGo(): void {
    for (const threads of this.#threads.values()) for (const { tracee } of threads.values()) letGo(tracee);
  }
}

function isZombie(pid: number): boolean {
  try {
    const { state, num_threads } = readStat(pid);
    return state === 'Z' && num_threads <= 1; // else only its leader has ended
  } catch (error) {
    if (saysVanished(error)) return false;
    throw error;
  }
}

/** Threads may go on when the one that the process began with has ended; what it was is then shown nowhere. */
export function leaderEnded(pid: number): CannotCarryError {
  return new CannotCarryError(pid, [
    {
      object: 'thread',
      place: `${pid}, the first of its process`,
      reason: 'it has ended while others go on, which is not supported yet',
      remedy: 'Let the program wait for its threads (pthread_join) instead of ending its first one',
    },
  ]);
}

function seizeIfAlive(tid: number, leader: boolean): Stopped | undefined {
  try {
    const asleepSince = sleepStart(tid);
    const tracee = Tracee.seize(tid, { killOnOurDeath: false });
    return { tracee, asleepSince, groupStop: false, at: 0n };
  } catch (error) {
    if (leader || !(saysVanished(error) || isEnding(tid))) throw error;
    return undefined;
  }
}

function describeProcess(pid: number, stopped: readonly Stopped[], known?: KnownVmas): FrozenProcess {
  const earlier = known?.get(pid);
  const vmas = earlier === undefined ? readSmaps(pid) : withEarlierFlags(readMaps(pid), earlier);
  const vdso = readVdso(pid, vmas);
  const threads = stopped.map((thread) => describeThread(thread, vdso));
  const [leader, ...followers] = [
    ...threads.filter(({ tracee }) => tracee.tid === pid),
    ...threads.filter(({ tracee }) => tracee.tid !== pid),
  ];
  if (leader === undefined) throw new StasisError('VANISHED', `Process ${pid} has no threads`, { pid });
  return { pid, leader, followers, groupStop: stopped.some(({ groupStop }) => groupStop), vmas, vdso };
}

function describeThread({ tracee, asleepSince, at }: Stopped, vdso: Vdso): FrozenThread {
  const { tid } = tracee;
  const registers = leaveHealing(tracee, vdso, tracee.getRegisters());
  const architecture = architectureOfVdso(vdso.bytes);
  if (!architecture.recognises(registers)) throw new CannotCarryError(tid, [otherMode(tid, architecture, registers)]);
  tracee.architecture = architecture;
  const status = readStatus(tid);
  const settled = settle(outsideCriticalSection(tracee, registers), {
    tid,
    architecture,
    asleep: asleepSince === undefined ? undefined : at - asleepSince,
    signalPending: ((status.sigPnd | status.shdPnd) & ~status.sigBlk) !== 0n,
    notes: notesOf(vdso),
    now: at,
  });
  let stat: Stat | undefined;
  return {
    tracee,
    status,
    get stat() {
      return (stat ??= readStat(tid));
    },
    registers,
    settled,
    at,
  };
}

function release(processes: readonly FrozenProcess[], since: number): void {
  const threads = processes.flatMap(({ leader, followers }) => [leader, ...followers]);
  // All of them before any runs on: each needs a processor for this, which those that compute already would not leave it.
  for (const { tracee } of threads) unlessEnded(() => tracee.prepareToLeave());
  for (const thread of threads) releaseThread(thread, since);
}

function unlessEnded(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!(error instanceof StasisError)) throw error;
  }
}

function releaseThread({ tracee, settled }: FrozenThread, since: number): void {
  if (!tracee.attached) return;
  try {
    unlessEnded(() => tracee.leaveWith(compensate(tracee.tid, settled, BigInt(Math.round((performance.now() - since) * 1e6)))));
  } finally {
    tracee.detach();
  }
}

/** A thread on its way out can no longer be traced: EPERM (kernel/ptrace.c: ptrace_attach). */
function isEnding(tid: number): boolean {
  try {
    return ['Z', 'X'].includes(readStat(tid).state);
  } catch (error) {
    return saysVanished(error);
  }
}

/** Only a stopped task can be let go. One that does not stop at once, as in vfork, is let go when it does. */
function letGo(tracee: Tracee): void {
  if (!tracee.attached) return;
  if (tracee.stopped) return letGoStopped(tracee);
  tracee.requestStop();
  if (tracee.stopsWithin(100)) return letGoStopped(tracee);
  if (!tracee.attached) return;
  const timer = setInterval(() => {
    const stopped = tracee.stopsWithin(0);
    if (stopped) letGoStopped(tracee);
    if (stopped || !tracee.attached) clearInterval(timer);
  }, 20);
  timer.unref(); // at our end the kernel lets it go
}

function letGoStopped(tracee: Tracee): void {
  try {
    const registers = tracee.getRegisters();
    const architecture = architectureOf(registers);
    const call = architecture?.blockedCall(registers);
    if (call?.result === -errno.EINTR)
      tracee.setRegisters(tracee.architecture.interrupted(registers, call.number, -restartErrno.ERESTARTNOHAND));
  } catch (error) {
    if (!saysVanished(error)) throw error;
  } finally {
    tracee.detach();
  }
}

/** A checkpoint that was killed before us may have left the task in the middle of healing: let it finish. */
function leaveHealing(tracee: Tracee, vdso: Vdso, first: Registers): Registers {
  let registers = first;
  for (let round = 0; round < 1000; round++) {
    const at = registers[tracee.architecture.instructionPointer] ?? 0n;
    if (!inRoom(vdso, at)) return registers;
    tracee.resume(PTRACE.CONT);
    tracee.interrupt();
    registers = tracee.getRegisters();
  }
  throw new StasisError('FAILED', `Cannot checkpoint ${tracee.tid}: it does not leave the code of an earlier checkpoint`, {
    phase: 'freeze',
    pid: tracee.tid,
  });
}

/**
 * A restartable sequence that was interrupted is aborted, as the kernel does before it lets the task run on: the same
 * for the task that goes on and for the image. Source: man 2 rseq, kernel/rseq.c.
 */
function outsideCriticalSection(tracee: Tracee, registers: Registers): Registers {
  const configuration = getRseqConfiguration(tracee.tid);
  if (configuration === undefined || configuration.address === 0n) return registers;
  const memory = LocalMemory.scratch('rseq', 4096);
  readProcess(tracee.tid, memory.address, [{ address: configuration.address, length: 32 }]);
  const section = memory.view.getBigUint64(8, true); // struct rseq.rseq_cs
  if (section === 0n) return registers;
  readProcess(tracee.tid, memory.address, [{ address: section, length: 32 }]);
  const start = memory.view.getBigUint64(8, true);
  const length = memory.view.getBigUint64(16, true);
  const abort = memory.view.getBigUint64(24, true);
  const { instructionPointer } = tracee.architecture;
  const at = registers[instructionPointer] ?? 0n;
  return at >= start && at < start + length ? { ...registers, [instructionPointer]: abort } : registers;
}
