/**
 * Since when a task has been asleep. The kernel shows it in se.exec_start of /proc/PID/sched, by the clock of the
 * processor on which the task last ran; these clocks stand still while a virtual machine is not running, each on its
 * own, and may lie seconds apart. So we read our own on the same processor, beside CLOCK_MONOTONIC. Source:
 * kernel/sched/core.c (update_rq_clock_task), man 2 sched_setaffinity.
 */
import { LocalMemory, syscall } from '../linux/ffi.ts';
import { readExecStart } from '../linux/proc/sched.ts';
import { readStat } from '../linux/proc/stat.ts';

/** CLOCK_MONOTONIC, nanoseconds; undefined where the kernel does not tell, or the task is not asleep. */
export function sleepStart(tid: number): bigint | undefined {
  const { state, processor } = readStat(tid);
  if (state !== 'S') return undefined;
  const offset = recentOffset(processor);
  const start = readExecStart(tid);
  if (offset === undefined || start === undefined || start === 0) return undefined;
  return offset + nanoseconds(start);
}

const maskBytes = 128; // 1,024 processors

/** Milliseconds for which an offset is good enough for a whole process: to go to a processor can take long on a busy one. */
const keptFor = 200;
const offsets = new Map<number, { readonly offset: bigint | undefined; readonly at: number }>();

function recentOffset(processor: number): bigint | undefined {
  const known = offsets.get(processor);
  if (known !== undefined && performance.now() - known.at < keptFor) return known.offset;
  const offset = clockOffset(processor);
  offsets.set(processor, { offset, at: performance.now() });
  return offset;
}

/** Offsets found a moment ago: a process has many threads. */
const recent = new Map<number, { readonly at: bigint; readonly offset: bigint | undefined }>();
const recently = 100_000_000n; // nanoseconds

function clockOffset(processor: number): bigint | undefined {
  const now = process.hrtime.bigint();
  const known = recent.get(processor);
  if (known !== undefined && now - known.at < recently) return known.offset;
  const offset = measureOffset(processor);
  recent.set(processor, { at: process.hrtime.bigint(), offset });
  return offset;
}

/** CLOCK_MONOTONIC minus the clock of a processor; undefined when we may not run there. */
function measureOffset(processor: number): bigint | undefined {
  const memory = LocalMemory.scratch('affinity', 2 * maskBytes);
  const { address, bytes } = memory;
  const allowed = syscall('sched_getaffinity', 0, maskBytes, address);
  if (allowed < 0 || processor >= maskBytes * 8) return undefined;
  bytes.fill(0, maskBytes);
  bytes[maskBytes + (processor >> 3)] = 1 << (processor & 7);
  if (syscall('sched_setaffinity', 0, maskBytes, address + BigInt(maskBytes)) < 0) return undefined;
  try {
    const now = process.hrtime.bigint();
    const own = readExecStart(process.pid);
    return own === undefined ? undefined : now - nanoseconds(own);
  } finally {
    syscall('sched_setaffinity', 0, allowed, address);
  }
}

function nanoseconds(milliseconds: number): bigint {
  return BigInt(Math.round(milliseconds * 1e6));
}
