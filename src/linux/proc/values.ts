/** Files of /proc/PID that hold one value (`man 5 proc_pid_personality` and so on). */
import { readProcBytes, readProcText, readProcTextIfPresent } from './read.ts';
import { hexWord, integer, malformed } from './scan.ts';

/** ADDR_NO_RANDOMIZE and others of linux/personality.h. */
export function parsePersonality(text: string): number {
  return Number(hexWord('personality', text));
}

export function readPersonality(pid: number): number {
  return parsePersonality(readProcText(pid, 'personality'));
}

/** Timer slack in ns, as PR_GET_TIMERSLACK gives it. */
export function parseTimerSlack(text: string): bigint {
  const value = text.trim();
  return /^\d+$/.test(value) ? BigInt(value) : malformed('timerslack_ns', text);
}

/** Of another process only with CAP_SYS_NICE, whatever ptrace allows (fs/proc/base.c: timerslack_ns_show). */
export function readTimerSlack(pid: number): bigint {
  return parseTimerSlack(readProcText(pid, 'timerslack_ns'));
}

/** -1000 to 1000. */
export function parseOomScoreAdj(text: string): number {
  return integer('oom_score_adj', text);
}

export function readOomScoreAdj(pid: number): number {
  return parseOomScoreAdj(readProcText(pid, 'oom_score_adj'));
}

/** Which mappings a core file holds (`man 5 core`). */
export function parseCoredumpFilter(text: string): number {
  return Number(hexWord('coredump_filter', text));
}

/** Undefined for a task without memory, and without CONFIG_ELF_CORE. */
export function readCoredumpFilter(pid: number): number | undefined {
  const text = readProcTextIfPresent(pid, 'coredump_filter');
  return text === undefined || text === '' ? undefined : parseCoredumpFilter(text);
}

/** The kernel function in which the task sleeps; undefined when it runs, or when the kernel does not tell. */
export function parseWchan(text: string): string | undefined {
  const name = text.trim();
  return name === '0' || name === '' ? undefined : name;
}

export function readWchan(tid: number): string | undefined {
  const text = readProcTextIfPresent(tid, 'wchan');
  return text === undefined ? undefined : parseWchan(text);
}

/** The task's name: comm without its final newline. Bytes, for the kernel cuts names after 15 of them, in a character too. */
export function parseComm(bytes: Uint8Array): Uint8Array {
  return bytes.at(-1) === 0x0a ? bytes.subarray(0, -1) : bytes;
}

export function readComm(tid: number): Uint8Array {
  return parseComm(readProcBytes(tid, 'comm'));
}
