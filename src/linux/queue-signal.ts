/** A signal with a number beside it. Source: man 3 sigqueue, man 2 rt_sigqueueinfo. */
import { siginfo } from './abi/signal.ts';
import { LocalMemory, mustSyscall } from './ffi.ts';

const SI_QUEUE = -1;

export function queueSignal(pid: number, signal: number, value: number): void {
  const memory = LocalMemory.scratch('siginfo', siginfo.size);
  const uid = process.getuid?.() ?? 0;
  const fields = { si_signo: signal, si_code: SI_QUEUE, si_pid: process.pid, si_uid: uid };
  memory.bytes.set(siginfo.make({ ...fields, 'si_value.sival_ptr': BigInt(value) }));
  mustSyscall('rt_sigqueueinfo', `Cannot send signal ${signal} to ${pid}`, pid, signal, memory.address);
}
