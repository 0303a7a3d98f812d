/** One stopped task that we drive by ptrace. Whatever happens to us, it is released: disposed, or by our death. */
import { CannotCarryError, StasisError, SyscallError } from '../errors.ts';
import type { Architecture, Registers } from '../arch/architecture.ts';
import { x86_64 } from '../arch/x86_64.ts';
import { mustPtrace, ptrace, PTRACE, PTRACE_EVENT, PTRACE_O, waitFor, type WaitStatus } from '../linux/ptrace.ts';
import { getEventMessage, getRegisters, setRegisters, setSignalMask } from '../linux/ptrace.ts';
import { syscall, syscallError } from '../linux/ffi.ts';
import { readStat } from '../linux/proc/stat.ts';
import { readSyscall } from '../linux/proc/syscall.ts';
import { x86_64Numbers } from '../linux/syscalls.ts';

const ESRCH = -3;
const SIGSTOP = 19;
/** A task in an uninterruptible sleep does not stop; after this long we say so and let it go. */
const stopTimeout = 20_000;

/** A parent in vfork goes on when its child has executed a program or ended, mostly at once. */
const vforkTimeout = 1000;

export class Tracee implements Disposable {
  readonly tid: number;
  /** That of the kernel, until {@link architectureOfVdso} has told that of its program. */
  architecture: Architecture;
  #attached = true;
  /** The next stop, if it has been noticed before anybody waited for it. */
  #noticed: WaitStatus | undefined;
  #stopped = false;
  /** It stands where the kernel looks for signals on its way back to user code. */
  #atSignalCheck = false;
  /** SIGSTOPs that arrived while we drove the task (nothing else gets through); sent again on release. */
  #swallowedStops = 0;
  /** PTRACE_O_* in force. */
  #options: number;

  private constructor(tid: number, architecture: Architecture, options: number) {
    this.tid = tid;
    this.#options = options;
    this.architecture = architecture;
  }

  /**
   * Attaches without stopping. `killOnOurDeath` is for a restart (nothing half-made is left); a checkpoint never uses
   * it. Source: man 2 ptrace (PTRACE_SEIZE).
   */
  static seize(tid: number, purpose: { killOnOurDeath: boolean }): Tracee {
    const options = PTRACE_O.TRACESYSGOOD | PTRACE_O.TRACEEXEC | (purpose.killOnOurDeath ? PTRACE_O.EXITKILL : 0);
    const result = ptrace(PTRACE.SEIZE, tid, 0, options);
    // One that is about to end answers EPERM (kernel/ptrace.c: exit_state).
    if (result === ESRCH || (result < 0 && hasEnded(tid))) throw vanished(tid);
    if (result < 0) {
      throw syscallError('ptrace', result, `Cannot attach to ${tid}`, {
        code: 'PRIVILEGE',
        phase: 'freeze',
        pid: tid,
        hint: 'The process must be yours and must not be traced already; another user\'s needs root or CAP_SYS_PTRACE. "stasis doctor" tells what this system allows.',
      });
    }
    return new Tracee(tid, x86_64, options);
  }

  /** A task that was attached at its birth (PTRACE_O_TRACECLONE of its maker); returns when it stands at its begin. */
  static newborn(tid: number, architecture: Architecture): Tracee {
    const tracee = new Tracee(tid, architecture, 0);
    for (;;) {
      const status = tracee.wait();
      if (status.kind === 'event' && status.event === PTRACE_EVENT.STOP) return tracee;
      tracee.resume(PTRACE.CONT);
    }
  }

  /** From here on it is a task under restart: it says when it executes, and it ends with us. */
  beDriven(): void {
    const options = PTRACE_O.TRACESYSGOOD | PTRACE_O.TRACEEXEC | PTRACE_O.EXITKILL;
    mustPtrace(PTRACE.SETOPTIONS, this.tid, `Cannot drive ${this.tid}`, 0, options);
    this.#options = options;
  }

  /** A task that one of our tracees made with CLONE_PTRACE: it is traced like its maker. */
  static born(tid: number, architecture: Architecture): Tracee {
    return new Tracee(tid, architecture, PTRACE_O.TRACESYSGOOD | PTRACE_O.TRACEEXEC | PTRACE_O.EXITKILL);
  }

  /**
   * Its seccomp filters have no say for as long as it is traced. False where that is not allowed: it takes CAP_SYS_ADMIN in
   * the first user namespace, a tracer without filters, CONFIG_CHECKPOINT_RESTORE. Source: man 2 ptrace.
   */
  suspendSeccomp(): boolean {
    if ((this.#options & PTRACE_O.SUSPEND_SECCOMP) !== 0) return true;
    const options = this.#options | PTRACE_O.SUSPEND_SECCOMP;
    if (ptrace(PTRACE.SETOPTIONS, this.tid, 0, options) < 0) return false;
    this.#options = options;
    return true;
  }

  /** Without PTRACE_O_EXITKILL: when we die it goes on as if it had been detached. */
  outlive(): void {
    if (!this.#attached) return;
    const result = ptrace(PTRACE.SETOPTIONS, this.tid, 0, PTRACE_O.TRACESYSGOOD);
    if (result < 0 && result !== ESRCH) throw syscallError('ptrace', result, `Cannot release ${this.tid}`);
    this.#options = PTRACE_O.TRACESYSGOOD;
  }

  /** Stops the task wherever it is. Says whether it already was in a group stop (SIGSTOP, ^Z). */
  interrupt(): { groupStop: boolean } {
    mustPtrace(PTRACE.INTERRUPT, this.tid, `Cannot interrupt ${this.tid}`);
    return this.awaitStop();
  }

  /** The first half of {@link interrupt}, for stopping many at once: a task that has ended says so in {@link awaitStop}. */
  requestStop(): void {
    const result = ptrace(PTRACE.INTERRUPT, this.tid);
    if (result < 0 && result !== ESRCH) throw syscallError('ptrace', result, `Cannot interrupt ${this.tid}`, { pid: this.tid });
  }

  /** From any stop: lets the task go on and be stopped again at once, from the entry of a call inside that call. */
  interruptCall(): void {
    mustPtrace(PTRACE.INTERRUPT, this.tid, `Cannot interrupt ${this.tid}`);
    this.resume(PTRACE.CONT);
    this.awaitStop();
  }

  /** The second half of {@link interrupt}. */
  awaitStop(milliseconds: number = stopTimeout): { groupStop: boolean } {
    for (;;) {
      const status = this.#waitAtMost(milliseconds);
      if (status.kind === 'event' && status.event === PTRACE_EVENT.STOP) {
        this.#atSignalCheck = true;
        return { groupStop: status.signal !== 5 };
      }
      // A signal or an execve was faster: it takes its normal course, then the task stops for us. Any other stop clears
      // the request (kernel/signal.c: ptrace_stop), so it is made again.
      ptrace(PTRACE.INTERRUPT, this.tid);
      this.resume(PTRACE.CONT, status.kind === 'signal' ? status.signal : 0);
    }
  }

  /** Waits for the execve that the task is about to make: the stop before the new program's first instruction. */
  waitForExec(): void {
    for (;;) {
      const status = this.wait();
      if (status.kind === 'event' && status.event === PTRACE_EVENT.EXEC) return;
      this.resume(PTRACE.CONT, status.kind === 'signal' ? status.signal : 0);
    }
  }

  /** Lets the task go on until its next system call entry or exit. Stop signals are kept for later. */
  resumeToSyscallStop(): void {
    this.resume(PTRACE.SYSCALL, 0);
    for (;;) {
      const status = this.wait();
      if (status.kind === 'syscall') return;
      if (status.kind === 'signal' && status.signal === SIGSTOP) this.#swallowedStops++;
      this.resume(PTRACE.SYSCALL, 0);
    }
  }

  /** From the entry of an execve: true at the new program's begin, false at the exit of a call that failed. */
  resumeIntoExec(): boolean {
    this.resume(PTRACE.SYSCALL, 0);
    for (;;) {
      const status = this.wait();
      if (status.kind === 'syscall') return false;
      if (status.kind === 'event' && status.event === PTRACE_EVENT.EXEC) return true;
      this.resume(PTRACE.SYSCALL, 0);
    }
  }

  /** From the entry of a clone, with PTRACE_O_TRACECLONE: the pid of the new task; undefined at the exit of a call that failed. */
  resumeIntoClone(): number | undefined {
    this.resume(PTRACE.SYSCALL, 0);
    for (;;) {
      const status = this.wait();
      if (status.kind === 'syscall') return undefined;
      if (status.kind === 'event' && status.event === PTRACE_EVENT.CLONE) return getEventMessage(this.tid);
      if (status.kind === 'signal' && status.signal === SIGSTOP) this.#swallowedStops++;
      this.resume(PTRACE.SYSCALL, 0);
    }
  }

  /** Lets the task run until `signal` (SIGTRAP of our own code) stops it. */
  waitForTrap(): { signal: number } {
    for (;;) {
      const status = this.wait();
      if (status.kind === 'signal' && status.signal !== SIGSTOP) {
        this.#atSignalCheck = true; // ptrace_signal is called from there (kernel/signal.c: get_signal)
        return { signal: status.signal };
      }
      if (status.kind === 'signal') this.#swallowedStops++;
      this.resume(PTRACE.CONT, 0);
    }
  }

  resume(request: typeof PTRACE.CONT | typeof PTRACE.SYSCALL, signal = 0): void {
    this.#atSignalCheck = false;
    this.#stopped = false;
    const result = ptrace(request, this.tid, 0, signal);
    if (result === ESRCH) throw this.#gone();
    if (result < 0) throw syscallError('ptrace', result, `Cannot resume ${this.tid}`);
  }

  /** The next stop. A task that ended throws VANISHED. */
  wait(): WaitStatus {
    const status = this.#noticed ?? waitFor(this.tid);
    this.#noticed = undefined;
    return this.#check(status);
  }

  /** Whether a task that was set going has come to its next stop, without waiting for it. */
  get hasStopped(): boolean {
    this.#noticed ??= waitFor(this.tid, true);
    return this.#noticed !== undefined;
  }

  #waitAtMost(milliseconds: number): WaitStatus {
    const deadline = performance.now() + milliseconds;
    for (let round = 0; ; round++) {
      const status = waitFor(this.tid, true);
      if (status !== undefined) return this.#check(status);
      if (round > 500) pause(Math.min(5, (round - 500) / 100));
      const left = deadline - performance.now();
      if (left < milliseconds - vforkTimeout && waitsForChild(this.tid)) throw inVfork(this.tid);
      if (left < 0) {
        throw new StasisError('FAILED', `Cannot stop ${this.tid}: it has not reacted for ${milliseconds / 1000} s`, {
          phase: 'freeze',
          pid: this.tid,
          hint: `It is probably in an uninterruptible sleep (state D): see /proc/${this.tid}/wchan.`,
        });
      }
    }
  }

  #check(status: WaitStatus): WaitStatus {
    if (status.kind === 'exited' || status.kind === 'killed') throw this.#gone();
    this.#stopped = true;
    return status;
  }

  #gone(): StasisError {
    this.#attached = false;
    return vanished(this.tid);
  }

  /**
   * The task goes on with these registers when it is released. From here the kernel acts on an interrupted call in
   * them (makes it again, or answers EINTR when a handler runs), which it does at no other stop.
   */
  leaveWith(registers: Registers): void {
    this.prepareToLeave();
    this.setRegisters(registers);
  }

  /** Brings the task to that stop, which the task must reach by itself. */
  prepareToLeave(): void {
    if (this.#attached && !this.#atSignalCheck) this.interruptCall();
  }

  getRegisters(): Registers {
    return this.architecture.decodeRegisters(getRegisters(this.tid));
  }

  setRegisters(registers: Registers): void {
    setRegisters(this.tid, this.architecture.encodeRegisters(registers));
  }

  /** PTRACE_O_* in force. */
  get options(): number {
    return this.#options;
  }

  /** As far as we have waited for it. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** After {@link requestStop}: whether it stops so soon. */
  stopsWithin(milliseconds: number): boolean {
    try {
      this.awaitStop(milliseconds);
      return true;
    } catch (error) {
      if (error instanceof StasisError) return false;
      throw error;
    }
  }

  get attached(): boolean {
    return this.#attached;
  }

  /** Lets the task run on without us. */
  detach(): void {
    if (!this.#attached) return;
    this.#attached = false;
    const result = ptrace(PTRACE.DETACH, this.tid, 0, 0);
    if (result < 0 && result !== ESRCH) throw syscallError('ptrace', result, `Cannot detach from ${this.tid}`);
    for (; this.#swallowedStops > 0; this.#swallowedStops--) syscall('kill', this.tid, SIGSTOP);
  }

  /** Ends the task and waits until it has ended. */
  kill(): void {
    this.sendKill();
    this.reap();
  }

  /** Ends the task by a signal with its default action, as its parent shall hear of it. */
  killBy(signal: number): void {
    setSignalMask(this.tid, 0n);
    syscall('kill', this.tid, signal);
    this.resume(PTRACE.CONT);
    this.reap(true);
  }

  sendKill(): void {
    syscall('kill', this.tid, 9);
  }

  /** Waits for the end of a task that has been told to end; signals reach it only if asked for. */
  reap(withSignals = false): void {
    if (!this.#attached) return;
    this.#attached = false;
    try {
      for (;;) {
        const status = waitFor(this.tid);
        if (status.kind === 'exited' || status.kind === 'killed') return;
        ptrace(PTRACE.CONT, this.tid, 0, withSignals && status.kind === 'signal' ? status.signal : 0);
      }
    } catch (error) {
      if (!saysVanished(error)) throw error; // else somebody else has reaped it
    }
  }

  [Symbol.dispose](): void {
    this.detach();
  }
}

function hasEnded(tid: number): boolean {
  try {
    return /[ZX]/.test(readStat(tid).state);
  } catch (error) {
    if (saysVanished(error)) return true;
    throw error;
  }
}

/** Whether an error says that its process has ended: a killed task answers ESRCH at once, long before it is a zombie. */
export function saysVanished(error: unknown): boolean {
  if (error instanceof SyscallError) return error.errno === -ESRCH;
  return (error instanceof StasisError && error.code === 'VANISHED') || (error as { code?: unknown }).code === 'ESRCH';
}

export function vanished(pid: number, cause?: unknown): StasisError {
  return new StasisError('VANISHED', `Process ${pid} does not exist (any more)`, { pid, cause });
}

const cell = new Int32Array(new SharedArrayBuffer(4));

/** Sleeps without an event loop: the tracing thread has nothing else to do. */
export function pause(milliseconds: number): void {
  Atomics.wait(cell, 0, 0, milliseconds);
}

/** In vfork, or clone with CLONE_VFORK: an uninterruptible sleep. Source: kernel/fork.c (wait_for_vfork_done). */
function waitsForChild(tid: number): boolean {
  if (readStat(tid).state !== 'D') return false;
  const call = readSyscall(tid);
  const { vfork, clone, clone3 } = x86_64Numbers;
  return call !== 'running' && [vfork, clone, clone3].some((number) => number === call.number);
}

function inVfork(tid: number): CannotCarryError {
  return new CannotCarryError(tid, [
    {
      object: 'thread',
      place: String(tid),
      reason: 'it waits in vfork for a child that uses its memory',
      remedy: 'Wait until the child has executed a program of its own, or ended',
    },
  ]);
}
