/** Asking a stopped thread about itself, by system calls that it makes. */
import type { SyscallName } from '../linux/syscalls.ts';

export interface Inquiry {
  /** A page of the process that calls may write to. Whoever writes there writes to its begin. */
  readonly scratch: bigint;
  /** The thread's own signal mask; while it is driven, everything is blocked. */
  readonly signalMask: bigint;
  /** The result of the call in the thread: minus the errno on failure. */
  call(name: SyscallName, parameters: readonly (number | bigint)[]): bigint;
  mustCall(name: SyscallName, parameters: readonly (number | bigint)[]): bigint;
  /** A copy of what the last call wrote to the scratch page. */
  readScratch(length: number): DataView;
}

/** A call that was made of one thread and will be made of others. */
export interface Question {
  readonly name: SyscallName;
  readonly parameters: readonly bigint[];
}
