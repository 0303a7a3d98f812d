/** New tasks made by a tracee: traced from their begin, and their maker notices nothing. Source: man 2 clone3. */
import { clone_args } from '../linux/abi/clone.ts';
import { setSignalMask } from '../linux/ptrace.ts';
import type { Area } from './batch.ts';
import { pidRefused } from './pids.ts';
import { Tracee } from './tracee.ts';

/** The new task is traced like its maker; it stops before its first instruction. */
const CLONE_PTRACE = 0x2000;
const allButTrap = 0xffff_ffff_ffff_ffefn; // SIGTRAP ends our batches

export interface ChildOptions {
  /** CLONE_* */
  readonly flags?: number;
  readonly exitSignal: number;
  /** The id that it shall have if it is free and may be chosen. */
  readonly wanted: number | undefined;
  /** No other will do. */
  readonly strict?: boolean;
}

/** The area as the new task uses it: its own copy, unless CLONE_VM is among the flags. */
export function makeChild(area: Area, { flags = 0, exitSignal, wanted, strict = false }: ChildOptions): Area {
  const chosen = wanted === undefined ? undefined : chooseId(area, { flags, exitSignal, strict }, wanted);
  const tid =
    chosen ?? Number(run(area, (batch) => batch.add('make a process', 'clone', [flags | CLONE_PTRACE | exitSignal, 0, 0, 0, 0])));
  const tracee = Tracee.born(tid, area.tracee.architecture);
  tracee.awaitStop();
  setSignalMask(tid, allButTrap);
  return area.usedBy(tracee);
}

/** undefined when the id is taken, or the kernel does not let us choose (CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN). */
function chooseId(
  area: Area,
  { flags, exitSignal, strict }: { flags: number; exitSignal: number; strict: boolean },
  wanted: number,
): number | undefined {
  const result = run(area, (batch) => {
    const set_tid = batch.data(new Uint8Array(Int32Array.of(wanted).buffer));
    // With CLONE_PARENT the exit signal is that of the maker (kernel/fork.c).
    const CLONE_PARENT = 0x8000;
    const exit_signal = (flags & CLONE_PARENT) !== 0 ? 0n : BigInt(exitSignal);
    const bytes = clone_args.make({ flags: BigInt(flags | CLONE_PTRACE), exit_signal, set_tid, set_tid_size: 1n });
    return batch.add('make a process', 'clone3', [batch.data(bytes), bytes.length], { mayFail: true });
  });
  if (strict && result < 0n) throw pidRefused(wanted, Number(result));
  return result > 0n ? Number(result) : undefined; // a plain clone says what else is wrong
}

function run(area: Area, add: (batch: ReturnType<Area['batch']>) => number): bigint {
  const batch = area.batch();
  const index = add(batch);
  return batch.run()[index] ?? 0n;
}
