/** The image that a command line names: `-`, nothing, or a path. */
import { StasisError } from '../errors.ts';
import type { Source } from '../source.ts';
import { isTerminal } from './output.ts';
import { usageError, type Invocation } from './parse.ts';

/** Standard input must not be a terminal: somebody forgot something, and would wait for ever. */
export function imageSource(invocation: Invocation): Source {
  const file = invocation.argument('FILE');
  if (file !== undefined && file !== '-') return { path: file };
  if (isTerminal(0)) {
    throw usageError(
      invocation.command,
      invocation.name,
      `${invocation.name} needs an image, and standard input is a terminal`,
      `Name a file: ${invocation.name} FILE. Or redirect: ${invocation.name} < FILE`,
    );
  }
  return { fd: 0 };
}

/** A process id from the command line. */
export function processId(invocation: Invocation, word = ''): number {
  // PID_MAX_LIMIT is 2^22 (linux/threads.h); 0 would be ourselves.
  const pid = /^[0-9]+$/.test(word) ? Number(word) : NaN;
  if (pid >= 1 && pid <= 4_194_304) return pid;
  throw new StasisError('USAGE', `${invocation.name} takes the number of a process, not "${word}"`, {
    hint: /^[\w.-]+$/.test(word) && !/^\d/.test(word) ? `Find it with: pgrep ${word}` : `See: ${invocation.name} --help`,
  });
}
