/**
 * Syscall user dispatch of a thread: calls from outside a range of code become signals, as long as a byte of its own says so.
 * Source: Documentation/admin-guide/syscall-user-dispatch.rst, kernel/entry/syscall_user_dispatch.c.
 */
import type { Blocker } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { readProcess } from '../linux/process-memory.ts';
import { getSyscallDispatch, setSyscallDispatch, type SyscallDispatch } from '../linux/ptrace.ts';
import { node, type ImageNode, type ObjectKind, type ThreadCollection } from './object.ts';

const record: RecordKind<SyscallDispatch> = defineKind<SyscallDispatch>({
  tag: 0xc7,
  name: 'syscall-dispatch',
  parents: ['thread'],
  schema: s.record({
    mode: s.u64(),
    selector: s.hex(s.u64()),
    offset: s.hex(s.u64()),
    len: s.hex(s.u64()),
  }),
});

const PR_SYS_DISPATCH_OFF = 0n;
const SYSCALL_DISPATCH_FILTER_ALLOW = 0;

/** Why nothing may be called in a stopped thread: at this moment its calls are not the kernel's. */
export function dispatchBlocker(tid: number): Blocker | undefined {
  const found = getSyscallDispatch(tid);
  if (found === undefined || found.mode === PR_SYS_DISPATCH_OFF) return undefined;
  if (found.selector !== 0n) {
    const memory = LocalMemory.scratch('selector', 8);
    readProcess(tid, memory.address, [{ address: found.selector, length: 1 }]);
    if (memory.bytes[0] === SYSCALL_DISPATCH_FILTER_ALLOW) return undefined;
  }
  return {
    object: 'syscall user dispatch',
    place: `thread ${tid}`,
    reason: 'its system calls become signals at this moment, and so would those that a checkpoint needs',
    remedy: 'Checkpoint it at a moment when its selector allows system calls',
  };
}

export function collectSyscallDispatch({ tid }: ThreadCollection): ImageNode[] {
  const found = getSyscallDispatch(tid);
  return found === undefined || found.mode === PR_SYS_DISPATCH_OFF ? [] : [node(record, found)];
}

export const syscallDispatch: ObjectKind<SyscallDispatch> = {
  record,
  title: 'Syscall user dispatch',
  carried: 'Mode, range and selector.',
  refused: 'While its selector blocks system calls.',

  restart(value, rebuild) {
    rebuild.thread.locks.push(() => setSyscallDispatch(rebuild.tracee.tid, value));
  },
};
