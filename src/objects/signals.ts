/** Signal dispositions. Source: man 2 rt_sigaction, include/uapi/asm-generic/signal.h. */
import type { Architecture } from '../arch/architecture.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { compat_sigaction } from '../linux/abi/compat.ts';
import type { Collection, ObjectKind } from './object.ts';

export interface SignalAction {
  readonly signal: number;
  /** Address of the handler; 0 default, 1 ignore. */
  readonly handler: bigint;
  /** SA_* */
  readonly flags: bigint;
  readonly restorer: bigint;
  /** Blocked while the handler runs; bit 0 is signal 1. */
  readonly mask: bigint;
}

export interface Signals {
  /** Signals that are not listed have their default action and no flags. */
  readonly actions: readonly SignalAction[];
}

const record: RecordKind<Signals> = defineKind<Signals>({
  tag: 0x31,
  name: 'signals',
  parents: ['task'],
  schema: s.record({
    actions: s.array(
      s.record({
        signal: s.uint(64),
        handler: s.hex(s.u64()),
        flags: s.hex(s.u64()),
        restorer: s.hex(s.u64()),
        mask: s.hex(s.u64()),
      }),
      64,
    ),
  }),
});

const SIGKILL = 9;
const SIGCHLD = 17;
const SIGSTOP = 19;
const signalCount = 64;
/** struct kernel_sigaction of x86-64: handler, flags, restorer, mask. */
const actionSize = 32;

function encode({ handler, flags, restorer, mask }: Omit<SignalAction, 'signal'>, { abi }: Architecture): Uint8Array {
  const words = [handler, flags, restorer, mask];
  if (abi.wordSize === 8) return new Uint8Array(BigUint64Array.from(words).buffer);
  const sa_mask = new Uint8Array(BigUint64Array.of(mask).buffer);
  const [sa_handler = 0, sa_flags = 0, sa_restorer = 0] = words.map((word) => Number(BigInt.asUintN(32, word)));
  return compat_sigaction.make({ sa_handler, sa_flags, sa_restorer, sa_mask });
}

const defaultAction = { handler: 0n, flags: 0n, restorer: 0n, mask: 0n };

/** Only caught and ignored signals are asked for, and SIGCHLD, whose flags count even with the default action. */
export function collectSignals({ status, injector }: Collection): Signals {
  const interesting = status.sigCgt | status.sigIgn | (1n << BigInt(SIGCHLD - 1));
  const actions: SignalAction[] = [];
  for (let signal = 1; signal <= signalCount; signal++) {
    if ((interesting & (1n << BigInt(signal - 1))) === 0n) continue;
    injector.mustCall('rt_sigaction', [signal, 0, injector.scratch, 8]);
    const view = injector.readScratch(actionSize);
    const [handler, flags, restorer, mask] = [0, 8, 16, 24].map((at) => view.getBigUint64(at, true)) as [
      bigint,
      bigint,
      bigint,
      bigint,
    ];
    if (handler !== 0n || flags !== 0n) actions.push({ signal, handler, flags, restorer, mask });
  }
  return { actions };
}

export const signals: ObjectKind<Signals> = {
  record,
  title: 'Signal dispositions',
  carried: 'Handler, flags, mask and restorer of every signal.',
  refused: '',

  restart(value, rebuild) {
    rebuild.finals.calls.push(() => {
      rebuild.room(signalCount, signalCount * actionSize);
      const { batch } = rebuild;
      const { architecture } = rebuild.tracee;
      const bySignal = new Map(value.actions.map((action) => [action.signal, action]));
      for (let signal = 1; signal <= signalCount; signal++) {
        if (signal === SIGKILL || signal === SIGSTOP) continue;
        const bytes = encode(bySignal.get(signal) ?? defaultAction, architecture);
        // The way in which this call comes decides what frames the kernel builds for the handler (SA_IA32_ABI).
        batch.addProgramCall(`set the action of signal ${signal}`, 'rt_sigaction', [signal, batch.data(bytes), 0, 8]);
      }
    });
  },
};
