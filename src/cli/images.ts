/** The image that a command line names: `-`, nothing, or a path. */
import type { Source } from '../source.ts';
import { isTerminal } from './output.ts';
import { UsageError, type Invocation } from './parse.ts';

/** Standard input must not be a terminal: somebody forgot something, and would wait for ever. */
export function imageSource(invocation: Invocation): Source {
  const file = invocation.argument('FILE');
  if (file !== undefined && file !== '-') return { path: file };
  if (isTerminal(0)) {
    const { name } = invocation;
    throw new UsageError(
      name,
      'An image is needed, and standard input is a terminal',
      `Name a file: ${name} FILE. Or redirect: ${name} < FILE`,
    );
  }
  return { fd: 0 };
}

/** A process id from the command line. */
export function processId(invocation: Invocation, word = ''): number {
  // PID_MAX_LIMIT is 2^22 (linux/threads.h); 0 would be ourselves.
  const pid = /^[0-9]+$/.test(word) ? Number(word) : NaN;
  if (pid >= 1 && pid <= 4_194_304) return pid;
  const mayBeName = /^[a-z][\w.-]*$/i.test(word);
  const hint = mayBeName ? `Find it with: pgrep ${word}` : undefined;
  throw new UsageError(invocation.name, `PID must be the number of a process, not "${word}"`, hint);
}
