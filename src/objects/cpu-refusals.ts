/** State of the processor that is not carried, found in a stopped thread. */
import type { Registers } from '../arch/architecture.ts';
import type { Blocker } from '../errors.ts';
import { debugControl, portPermissions } from '../linux/ptrace-hardware.ts';

export function cpuRefusals(tid: number, { eflags = 0n }: Registers): Blocker[] {
  const blockers: Blocker[] = [];
  const place = `thread ${tid}`;
  if (debugControl(tid) !== 0n) {
    const remedy = 'Let the debugger that set it attach again and delete it';
    blockers.push({ object: 'hardware breakpoint', place, reason: 'debug registers are in use', remedy });
  }
  const IOPL = 0x3000n; // how kernels before 5.5 show iopl; later ones do not show it
  if ((eflags & IOPL) !== 0n || portPermissions(tid)) {
    const remedy = 'Let the program give them up (ioperm, iopl)';
    blockers.push({ object: 'I/O ports', place, reason: 'it has permission to use ports of the machine', remedy });
  }
  return blockers;
}
