/**
 * What cannot be carried yet, as a list of checks. A later version removes a check when it adds the object kind that
 * makes it unnecessary.
 */
import type { Blocker } from '../errors.ts';
import { readChildren } from '../linux/proc/tasks.ts';
import { readNamespaces } from '../linux/proc/links.ts';
import { readTimers } from '../linux/proc/timers.ts';
import type { Status } from '../linux/proc/status.ts';
import { signalName } from '../linux/signals.ts';
import type { Injector } from '../tracee/injector.ts';

/** Checks that only read /proc. */
const checks: readonly ((pid: number, status: Status) => Blocker[])[] = [children, namespaces, pendingSignals, posixTimers];

/** All that stands in the way and can be seen without running anything in the target. */
export function collectRefusals(pid: number, status: Status): Blocker[] {
  return checks.flatMap((check) => check(pid, status));
}

function children(pid: number): Blocker[] {
  return readChildren(pid).map((child) => ({
    object: `child ${child}`,
    place: '',
    reason: 'child processes are not supported yet',
    remedy: 'Wait until the child has ended, or checkpoint it alone',
  }));
}

/** Of the namespaces only those count in which the program's own view of things would change. */
function namespaces(pid: number): Blocker[] {
  const own = readNamespaces(process.pid);
  return [...readNamespaces(pid)]
    .filter(([name, inode]) => own.has(name) && own.get(name) !== inode)
    .map(([name]) => ({
      object: `${name} namespace`,
      place: '',
      reason: 'the program is in another namespace than stasis',
      remedy: 'Run stasis inside the same namespaces (nsenter)',
    }));
}

function pendingSignals(_pid: number, { sigPnd, shdPnd }: Status): Blocker[] {
  const pending = sigPnd | shdPnd;
  const blockers: Blocker[] = [];
  for (let signal = 1; signal <= 64; signal++) {
    if ((pending & (1n << BigInt(signal - 1))) === 0n) continue;
    blockers.push({
      object: `pending signal ${signalName(signal)}`,
      place: '',
      reason: 'pending signals are not supported yet',
      remedy: 'Wait until the program has taken it',
    });
  }
  return blockers;
}

function posixTimers(pid: number): Blocker[] {
  return (readTimers(pid) ?? []).map(({ id, clock }) => ({
    object: `POSIX timer ${id}`,
    place: `clock ${clock}`,
    reason: 'timers are not supported yet',
    remedy: 'Checkpoint the program while it has no timer',
  }));
}

/** Interval timers are seen by asking the target itself. Source: man 2 getitimer. */
export function intervalTimers(injector: Injector): Blocker[] {
  return ['ITIMER_REAL', 'ITIMER_VIRTUAL', 'ITIMER_PROF'].flatMap((name, which) => {
    injector.mustCall('getitimer', [which, injector.scratch]);
    const view = injector.readScratch(32);
    const armed = view.getBigInt64(16, true) !== 0n || view.getBigInt64(24, true) !== 0n;
    if (!armed) return [];
    return [
      {
        object: name,
        place: '',
        reason: 'timers are not supported yet',
        remedy: 'Checkpoint the program while the timer is not armed',
      },
    ];
  });
}
