/** How a failure is told: to people on standard error, with --json as the one document on standard output. */
import { StasisError } from '../errors.ts';
import { painter, printJSON, say } from './output.ts';
import { UsageError, type Invocation } from './parse.ts';

/** Tells it; answers the exit code. `words` are the whole command line, for when it could not be parsed. */
export function reportError(error: unknown, invocation: Invocation | undefined, words: readonly string[] = []): number {
  const known = asStasisError(error);
  if (wants(invocation, words, 'json')) {
    const more = wants(invocation, words, 'verbose') ? { trail: trail(error).trimEnd().split('\n') } : {};
    printJSON({ ok: false, error: { ...known.toJSON(), ...more } });
  } else {
    const name = error instanceof UsageError ? error.commandName : (invocation?.name ?? 'stasis');
    const paint = painter(2);
    say(`${paint('bold', `${name}:`)} ${paint('red', firstLine(known.message))}${otherLines(known.message)}\n`);
    if (known.hint !== undefined) say(`${known.hint}\n`);
    // What we did not foresee is a bug of ours: whoever reports it needs to see where.
    if (!(error instanceof StasisError) || (invocation !== undefined && wants(invocation, [], 'verbose'))) say(trail(error));
  }
  return known.exitCode;
}

function wants(invocation: Invocation | undefined, words: readonly string[], option: 'json' | 'verbose'): boolean {
  if (invocation === undefined) {
    const end = words.indexOf('--');
    return words[0] !== 'run' && words.slice(0, end < 0 ? undefined : end).includes(`--${option}`);
  }
  return invocation.command.options.some(({ name }) => name === option) && invocation.flag(option);
}

function asStasisError(error: unknown): StasisError {
  if (error instanceof StasisError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StasisError('FAILED', `Unexpected error: ${message}`, {
    cause: error,
    hint: 'This is a mistake in Stasis. Please report it, with the lines below.',
  });
}

function firstLine(message: string): string {
  return message.split('\n', 1)[0] ?? '';
}

function otherLines(message: string): string {
  return message.slice(firstLine(message).length);
}

/** Where it arose, and each cause with its own place. */
function trail(error: unknown): string {
  let text = '';
  for (let each: unknown = error, depth = 0; each !== undefined && depth < 10; depth++) {
    const place = each instanceof Error ? stackOf(each) : '';
    text += depth === 0 ? place : `Cause: ${described(each)}\n${place}`;
    each = each instanceof Error ? each.cause : undefined;
  }
  return text;
}

function described(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`;
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function stackOf(error: Error): string {
  const lines = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  return lines.map((line) => `${line}\n`).join('');
}
