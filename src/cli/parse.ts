/** From the words of a command line to an invocation, by the command table. */
import { parseArgs } from 'node:util';
import { StasisError } from '../errors.ts';
import { commandNamed, commands, commonOptions, type CommandSpec, type OptionSpec } from './commands.ts';
import { closest } from './closest.ts';

/** What a command was asked to do. Asking for an option that its table row lacks is a bug, and throws. */
export class Invocation {
  readonly command: CommandSpec;
  /** The name the user typed: `stasis checkpoint`, or `ckpt`. */
  readonly name: string;
  readonly #values: ReadonlyMap<string, string | true>;
  readonly #arguments: readonly string[];
  readonly #repeated: ReadonlyMap<string, readonly string[]>;

  constructor(
    command: CommandSpec,
    name: string,
    values: ReadonlyMap<string, string | true>,
    words: readonly string[],
    repeated: ReadonlyMap<string, readonly string[]> = new Map(),
  ) {
    this.command = command;
    this.name = name;
    this.#values = values;
    this.#arguments = words;
    this.#repeated = repeated;
  }

  flag(name: string): boolean {
    return this.#find(name) !== undefined;
  }

  value(name: string): string | undefined {
    const value = this.#find(name);
    return value === true ? undefined : value;
  }

  /** Of an option that may be given more than once. */
  values(name: string): readonly string[] {
    this.#find(name);
    return this.#repeated.get(name) ?? [];
  }

  argument(name: string): string | undefined {
    const index = this.command.arguments.findIndex((argument) => argument.name === name);
    if (index < 0) throw new Error(`${this.command.name} has no argument ${name}`);
    return this.#arguments[index];
  }

  /** The words of the last argument, which takes all that is left. */
  get rest(): string[] {
    const index = this.command.arguments.findIndex((argument) => argument.rest === true);
    if (index < 0) throw new Error(`${this.command.name} takes no rest`);
    return this.#arguments.slice(index);
  }

  #find(name: string): string | true | undefined {
    if (!this.command.options.some((option) => option.name === name))
      throw new Error(`${this.command.name} has no option ${name}`);
    return this.#values.get(name);
  }
}

export type Request =
  | { readonly kind: 'help'; readonly command: CommandSpec | undefined; readonly name: string }
  | { readonly kind: 'version' }
  | { readonly kind: 'command'; readonly invocation: Invocation };

/** Wrong usage of the command that the user knows as `commandName`; it stands before the message, which leaves it out. */
export class UsageError extends StasisError {
  override name = 'UsageError';
  readonly commandName: string;

  constructor(commandName: string, message: string, hint = `See: ${commandName} --help`) {
    super('USAGE', message, { hint });
    this.commandName = commandName;
  }
}

/**
 * Reads the words after the program's name. `invokedAs` is `ckpt` or `rstr` when that command was typed, in which case the
 * first word is already the verb; messages then use that name.
 */
export function parseCommandLine(words: readonly string[], invokedAs = 'stasis'): Request {
  const [first, ...others] = words;
  if (first === undefined) throw new UsageError('stasis', 'No command was given', `Commands: ${names()}. See: stasis --help`);
  if (first === '-h' || first === '--help') return { kind: 'help', command: undefined, name: 'stasis' };
  if (first === '-V' || first === '--version') return { kind: 'version' };
  if (first === 'help') {
    const about = others[0] === undefined ? undefined : mustFind(others[0]);
    return { kind: 'help', command: about, name: about === undefined ? 'stasis' : `stasis ${about.name}` };
  }
  const command = mustFind(first);
  return parseCommand(command, others, command.alias === invokedAs ? invokedAs : `stasis ${command.name}`);
}

function names(): string {
  return commands.map((command) => command.name).join(', ');
}

function mustFind(word: string): CommandSpec {
  const command = commandNamed(word);
  if (command !== undefined) return command;
  if (word.startsWith('-')) throw new UsageError('stasis', `Unknown option ${word} before the command`);
  const candidate = closest(word, [...commands.map((each) => each.name), 'help']);
  const hint = candidate === undefined ? `Commands: ${names()}` : `Did you mean: stasis ${candidate}`;
  throw new UsageError('stasis', `There is no command "${word}"`, hint);
}

function parseCommand(command: CommandSpec, words: readonly string[], name: string): Request {
  const options = [...command.options, ...commonOptions];
  const { tokens } = parseArgs({
    args: [...words],
    strict: false,
    tokens: true,
    options: Object.fromEntries(
      options.map(({ name: long, short, value }) => [
        long,
        { type: value === undefined ? 'boolean' : 'string', ...(short !== undefined && { short }) } as const,
      ]),
    ),
  });
  const takesRest = command.arguments.some((argument) => argument.rest === true);
  const values = new Map<string, string | true>();
  const repeated = new Map<string, string[]>();
  let rest: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') {
      if (takesRest) {
        rest = words.slice(token.index);
        break;
      }
      rest.push(token.value);
    } else if (token.kind === 'option') {
      const option = options.find((each) => each.name === token.name);
      if (option === undefined) throw unknownOption(name, token.rawName, options);
      if (option.name === 'help') return { kind: 'help', command, name };
      if (option.name === 'version') return { kind: 'version' };
      const value = valueOf(name, option, token);
      values.set(option.name, value);
      if (option.repeats === true) repeated.set(option.name, [...(repeated.get(option.name) ?? []), String(value)]);
    }
  }
  checkExclusions(command, name, values);
  checkArguments(command, name, rest);
  return { kind: 'command', invocation: new Invocation(command, name, values, rest, repeated) };
}

type OptionToken = { readonly rawName: string; readonly value?: string | undefined; readonly inlineValue?: boolean | undefined };

function valueOf(name: string, option: OptionSpec, token: OptionToken): string | true {
  if (option.value === undefined) {
    if (token.value !== undefined) throw new UsageError(name, `${token.rawName} takes no value, but was given "${token.value}"`);
    return true;
  }
  // A value that looks like an option is a forgotten value, unless it was attached (--output=-x); - alone is a stream.
  const forgotten = token.inlineValue === false && token.value !== undefined && /^-./.test(token.value);
  if (token.value === undefined || token.value === '' || forgotten) {
    throw new UsageError(name, `${token.rawName} needs a value: ${token.rawName} ${option.value}`);
  }
  return token.value;
}

function unknownOption(name: string, rawName: string, options: readonly OptionSpec[]): StasisError {
  const candidate = closest(
    rawName,
    options.map((option) => `--${option.name}`),
  );
  return new UsageError(name, `There is no option ${rawName}`, candidate && `Did you mean: ${candidate}`);
}

function checkExclusions(command: CommandSpec, name: string, values: ReadonlyMap<string, unknown>): void {
  for (const option of command.options) {
    if (!values.has(option.name)) continue;
    const other = option.excludes?.find((each) => values.has(each));
    if (other !== undefined) throw new UsageError(name, `--${option.name} and --${other} exclude each other`);
  }
}

function checkArguments(command: CommandSpec, name: string, words: readonly string[]): void {
  const missing = command.arguments.find((argument, index) => argument.optional !== true && words[index] === undefined);
  if (missing !== undefined) throw new UsageError(name, `${missing.name} is missing: ${lowerFirst(missing.summary)}`);
  const last = command.arguments.at(-1);
  const surplus = words[command.arguments.length];
  if (surplus !== undefined && last?.rest !== true) {
    throw new UsageError(name, `"${surplus}" is one argument too many: ${name} takes ${arity(command)}`);
  }
}

function arity(command: CommandSpec): string {
  const count = command.arguments.length;
  return count === 0 ? 'no argument' : count === 1 ? 'one argument' : `${count} arguments`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
