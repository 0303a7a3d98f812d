/** docs/command-line.md */
import { commands, commonOptions, environment, type CommandSpec, type OptionSpec } from '../../src/cli/commands.ts';
import { exitCodes, optionLabel, usage } from '../../src/cli/help.ts';
import { code, generatedNotice, table } from './markdown.ts';

export function commandLinePage(): string {
  return `${generatedNotice('src/cli/commands.ts')}${[introduction(), ...commands.map(commandSection), errorsSection()].join('\n\n')}\n`;
}

function introduction(): string {
  return `# The command line

${table(
  ['command', 'does'],
  commands.map(({ name, alias, summary }) => [
    `[${code(`stasis ${name}`)}](#stasis-${name})${alias === undefined ? '' : `, ${code(alias)}`}`,
    summary,
  ]),
)}

${code('ckpt')} and ${code('rstr')} are the RFC's names for two of them. Standard output carries results only; messages go to
standard error, and progress too, if that is a terminal.

${optionTable(commonOptions)}

${table(
  ['environment', 'meaning'],
  environment.map(({ name, meaning }) => [code(name), meaning]),
)}`;
}

function commandSection(command: CommandSpec): string {
  const { name, description, options, examples, json } = command;
  const parts = [
    `## stasis ${name}`,
    fenced('', [usage(command, `stasis ${name}`)]),
    ...description,
    ...(command.arguments.length === 0
      ? []
      : [
          table(
            ['argument', 'meaning'],
            command.arguments.map((argument) => [code(argument.name), argument.summary]),
          ),
        ]),
    optionTable(options),
    fenced(
      'sh',
      examples.map(({ line, meaning }) => `${line}    # ${meaning}`),
    ),
    table(['exit code', 'meaning'], exitCodes(command)),
  ];
  if (json !== undefined) {
    parts.push(
      `With ${code('--json')}, one document:`,
      table(
        ['field', 'type', 'meaning'],
        json.map(({ path, type, meaning }) => [code(path), type, meaning]),
      ),
    );
  }
  return parts.join('\n\n');
}

function optionTable(options: readonly OptionSpec[]): string {
  return table(
    ['option', 'meaning'],
    options.map((option) => [code(optionLabel(option).trim()), option.summary]),
  );
}

function errorsSection(): string {
  return `## Errors

An error is told on standard error: what could not be done and why, then what to do about it; with ${code('-v')} also its causes and
where it arose. With ${code('--json')} it is the one document on standard output, ${code('{"ok": false, "error": {…}}')}, with the fields
in [errors.md](errors.md). Of a damaged image ${code('inspect --json')} also gives ${code('image')}, with what stands before the damage.`;
}

function fenced(language: string, lines: readonly string[]): string {
  return ['```' + language, ...lines, '```'].join('\n');
}
