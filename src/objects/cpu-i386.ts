/** A thread of a 32-bit program. */
import { i386 } from '../arch/i386.ts';
import type { RecordKind } from '../image/kind.ts';
import { cpuRecord, restartCpu, type Cpu } from './cpu.ts';
import type { ObjectKind } from './object.ts';

const record: RecordKind<Cpu> = cpuRecord(0x41, 'cpu-i386', i386);

export const cpuI386: ObjectKind<Cpu> = {
  record,
  title: 'Registers and thread state (32-bit x86)',
  carried:
    'General registers, segment bases, complete XSAVE state, signal mask, alternate stack, rseq, robust futex list, clear_child_tid, interrupted sleeps with the time left.',
  refused:
    'Hardware breakpoints, permission for I/O ports (iopl cannot be seen since Linux 5.5), code of the other word size. At restart: a processor that lacks a state component in use.',
  restart: (value, rebuild) => restartCpu(value, i386, rebuild),
};
