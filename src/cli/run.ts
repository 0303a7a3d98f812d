/** `stasis run`. */
import type { Invocation } from './parse.ts';

/** Returns only when the program cannot be started. */
export async function runCommand(invocation: Invocation): Promise<number> {
  const { runForeground } = await import('../run.ts');
  return runForeground(invocation.rest);
}
