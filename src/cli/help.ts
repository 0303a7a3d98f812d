/** --help, from the command table. */
import { errorCatalogue } from '../errors.ts';
import { commands, commonOptions, environment, otherExits, type CommandSpec, type OptionSpec } from './commands.ts';
import { columns, paragraph } from './text.ts';

/** The help of one command, under the name the user knows it by. */
export function commandHelp(command: CommandSpec, name: string, width: number): string {
  const examples = command.examples.flatMap(({ line, meaning }) => [`  ${line}`, ...paragraph(meaning, width, '      ')]);
  const sections = [
    [`Usage: ${usage(command, name)}`],
    ...command.description.map((text) => paragraph(text, width)),
    command.arguments.length === 0
      ? []
      : [
          'Arguments:',
          ...columns(
            command.arguments.map(({ name: label, summary }) => [label, summary]),
            width,
          ),
        ],
    [
      'Options:',
      ...columns(
        [...command.options, ...commonOptions].map((option) => [optionLabel(option), option.summary]),
        width,
      ),
    ],
    ['Examples:', ...examples],
    ['Exit codes:', ...columns(exitCodes(command), width)],
  ];
  return layout(sections);
}

/** The help of the whole. */
export function overview(width: number): string {
  return layout([
    ['Usage: stasis COMMAND [ARGUMENT…] [OPTION…]'],
    paragraph('Writes the state of running Linux processes into an image, and continues them from it.', width),
    [
      'Commands:',
      ...columns(
        commands.map(({ name, summary, alias }) => [name, alias === undefined ? summary : `${summary} (${alias})`]),
        width,
      ),
    ],
    [
      'Options:',
      ...columns(
        commonOptions.map((option) => [optionLabel(option), option.summary]),
        width,
      ),
    ],
    [
      'Environment:',
      ...columns(
        environment.map(({ name, meaning }) => [name, meaning]),
        width,
      ),
    ],
    paragraph('More about a command: stasis COMMAND --help. On a new machine first try: stasis doctor', width),
  ]);
}

/** `stasis checkpoint PID [OPTION…]` */
export function usage(command: CommandSpec, name: string): string {
  const options = '[OPTION…]';
  const words = command.arguments.map(({ name: label, optional, rest }) => {
    const shown = rest === true ? `[--] ${label} [ARGUMENT…]` : label;
    return optional === true ? `[${shown}]` : shown;
  });
  // Options after the stranger's command would be the stranger's.
  return command.arguments.some(({ rest }) => rest === true)
    ? [name, options, ...words].join(' ')
    : [name, ...words, options].join(' ');
}

export function optionLabel(option: OptionSpec): string {
  return `${option.short === undefined ? '    ' : `-${option.short}, `}--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`;
}

/** Code and meaning of each way in which a command can end. */
export function exitCodes(command: CommandSpec): [string, string][] {
  const byCode = new Map<string, string>([['0', 'Done.']]);
  for (const code of command.errors) {
    const { exit, meaning } = errorCatalogue[code];
    byCode.set(String(exit), meaning);
  }
  for (const { exit, meaning } of otherExits) byCode.set(exit, meaning);
  return [...byCode];
}

function layout(sections: readonly (readonly string[])[]): string {
  return `${sections
    .filter((section) => section.length > 0)
    .map((section) => section.join('\n'))
    .join('\n\n')}\n`;
}
