/** The caller's side: engines are started on first use, kept for the next call, and never keep the caller alive. */
import { StasisError } from '../errors.ts';
import type { Ended } from '../linux/exit-watch.ts';
import { Engine } from './engine.ts';
import type { PerformOptions } from './perform-options.ts';
import type { Answers, Work } from './protocol.ts';

export interface Performed<W extends Work> {
  readonly result: Answers[W['kind']];
  /** How the processes ended that were started; undefined when the engine cannot tell any more. */
  readonly waiters: readonly (() => Promise<Ended | undefined>)[];
}

/** So many engines work at once; what comes then waits, unless it has a stream. */
const mostEngines = 4;
/** One is kept for so long after its last work. */
const idleMilliseconds = 60_000;

const idle: Engine[] = [];
const queue: (() => void)[] = [];
let working = 0;

/** Lets an engine do the work. */
export async function perform<W extends Work>(work: W, options: PerformOptions = {}): Promise<Performed<W>> {
  const { signal, fds = [], atOnce = false } = options;
  throwIfAborted(signal);
  if (working < mostEngines || atOnce) working++;
  else await turn(signal);
  const engine = take(fds);
  try {
    const { result, waiters } = await engine.do(work, options);
    return { result: result as Answers[W['kind']], waiters };
  } finally {
    putBack(engine);
    leave();
  }
}

function take(fds: readonly number[]): Engine {
  const owner = identity();
  while (fds.length === 0) {
    const engine = idle.pop();
    if (engine === undefined) break;
    // One from before setuid has privileges that we have given up.
    if (engine.usable && engine.owner === owner) return engine;
    engine.retire();
  }
  return new Engine(owner, fds);
}

function putBack(engine: Engine): void {
  if (!engine.usable || idle.length > 0) {
    engine.retire();
    return;
  }
  idle.push(engine);
  engine.retireAfter(idleMilliseconds, () => void idle.splice(idle.indexOf(engine) >>> 0, 1));
}

function identity(): string {
  return [
    process.getuid?.(),
    process.geteuid?.(),
    process.getgid?.(),
    process.getegid?.(),
    ...(process.getgroups?.() ?? []),
  ].join(' ');
}

/** Whoever waits longest takes the place. */
function leave(): void {
  const next = working <= mostEngines ? queue.shift() : undefined;
  if (next === undefined) working--;
  else next();
}

async function turn(signal: AbortSignal | undefined): Promise<void> {
  let next: () => void = () => {};
  const abort = (): void => next();
  signal?.addEventListener('abort', abort, { once: true });
  await new Promise<void>((resolve) => queue.push((next = resolve)));
  signal?.removeEventListener('abort', abort);
  if (signal?.aborted !== true) return;
  const at = queue.indexOf(next);
  if (at >= 0) queue.splice(at, 1);
  else leave(); // our turn had just come
  throwIfAborted(signal);
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal);
}

export function aborted(signal: AbortSignal | undefined): StasisError {
  return new StasisError('ABORTED', 'The operation was aborted', { cause: signal?.reason });
}
