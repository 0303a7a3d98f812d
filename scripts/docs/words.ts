/** How options are typed. */
import type { OptionSpec } from '../../src/cli/commands.ts';

/** `-o`, `--output` */
export function wordsOf({ name, short }: OptionSpec): string[] {
  return [...(short === undefined ? [] : [`-${short}`]), `--${name}`];
}

export function switches(options: readonly OptionSpec[]): string[] {
  return options.flatMap(wordsOf);
}
