/** /proc/PID/syscall (`man 5 proc_pid_syscall`, fs/proc/base.c: proc_pid_syscall). Needs ptrace access, but no attachment. */
import { readProcText } from './read.ts';
import { malformed } from './scan.ts';

/** `running`: on a CPU, or about to be; or blocked, in a call or (number -1, e.g. in a page fault) outside of any. */
export type SyscallState = 'running' | BlockedSyscall;

export interface BlockedSyscall {
  readonly number: number;
  /** The six argument registers; none when the number is -1. */
  readonly args: readonly bigint[];
  readonly sp: bigint;
  readonly pc: bigint;
}

export function parseSyscall(text: string): SyscallState {
  const words = text.trimEnd().split(' ');
  if (words[0] === 'running') return 'running';
  const number = Number(words[0]);
  const values = words.slice(1).map((word) => (/^0x[0-9a-f]+$/.test(word) ? BigInt(word) : malformed('syscall', text)));
  const pc = values.pop();
  const sp = values.pop();
  if (!Number.isInteger(number) || sp === undefined || pc === undefined) return malformed('syscall', text);
  if (values.length !== (number === -1 ? 0 : 6)) return malformed('syscall', text);
  return { number, args: values, sp, pc };
}

export function readSyscall(tid: number): SyscallState {
  return parseSyscall(readProcText(tid, 'syscall'));
}
