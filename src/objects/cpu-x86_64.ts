/** A thread of a 64-bit program. */
import { x86_64 } from '../arch/x86_64.ts';
import type { RecordKind } from '../image/kind.ts';
import { cpuRecord, restartCpu, type Cpu } from './cpu.ts';
import type { ObjectKind } from './object.ts';

const record: RecordKind<Cpu> = cpuRecord(0x40, 'cpu-x86_64', x86_64);

export const cpuX86_64: ObjectKind<Cpu> = {
  record,
  title: 'Registers and thread state (x86-64)',
  carried:
    'General registers, segment bases, complete XSAVE state, signal mask, alternate stack, rseq, robust futex list, clear_child_tid, interrupted sleeps with the time left.',
  refused:
    'Hardware breakpoints, permission for I/O ports (iopl cannot be seen since Linux 5.5), code of the other word size. At restart: a processor that lacks a state component in use.',
  restart: (value, rebuild) => restartCpu(value, x86_64, rebuild),
};
