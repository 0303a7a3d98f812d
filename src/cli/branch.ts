/** `stasis branch`. */
import { signalNumber } from '../linux/signals.ts';
import { processId } from './images.ts';
import { print, printJSON, say } from './output.ts';
import { UsageError, type Invocation } from './parse.ts';

export async function branchCommand(invocation: Invocation, signal: AbortSignal): Promise<number> {
  const pid = processId(invocation, invocation.argument('PID'));
  const copies = copiesOf(invocation) ?? 1;
  const notify = signalOf(invocation);
  const { branch } = await import('../branch.ts');
  const { branches, freezeMs, totalMs } = await branch(pid, { copies, signal });
  if (notify !== undefined) {
    const { queueSignal } = await import('../linux/queue-signal.ts');
    for (const [index, each] of branches.entries()) queueSignal(each.pid, notify, index);
  }
  if (invocation.flag('json')) {
    printJSON({ ok: true, branches: branches.map((each) => ({ pid: each.pid, notes: each.notes })), freezeMs, totalMs });
    return 0;
  }
  for (const { notes } of branches) for (const note of notes) say(`${invocation.name}: ${note}\n`);
  for (const each of branches) print(`${each.pid}\n`);
  if (invocation.flag('stats')) say(`frozen for ${freezeMs.toFixed(1)} ms, ${totalMs.toFixed(1)} ms in all\n`);
  return 0;
}

/** undefined when not given. */
export function copiesOf(invocation: Invocation): number | undefined {
  const value = invocation.value('copies');
  if (value === undefined) return undefined;
  const copies = /^\d{1,5}$/.test(value) ? Number(value) : 0;
  if (copies >= 1) return copies;
  throw new UsageError(invocation.name, `--copies is a number from 1 to 99999, not "${value}"`);
}

/** The number of the signal; undefined when not given. */
export function signalOf(invocation: Invocation): number | undefined {
  const value = invocation.value('signal');
  if (value === undefined) return undefined;
  const number = signalNumber(value.toUpperCase());
  if (number !== undefined) return number;
  throw new UsageError(invocation.name, `--signal is the name or number of a signal, not "${value}"`);
}
