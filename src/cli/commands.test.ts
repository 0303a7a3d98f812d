import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorCatalogue } from '../errors.ts';
import { commands, commonOptions } from './commands.ts';
import { commandHelp, overview } from './help.ts';
import { parseCommandLine } from './parse.ts';

for (const command of commands) {
  const options = [...command.options, ...commonOptions];
  const { name } = command;

  test(`${name}: names are unique, exclusions exist`, () => {
    const spellings = options.flatMap(({ name: long, short }) => (short === undefined ? [long] : [long, short]));
    assert.equal(new Set(spellings).size, spellings.length);
    for (const { excludes = [] } of options) for (const other of excludes) assert.ok(spellings.includes(other), other);
    for (const { value, completion } of options) assert.ok(value !== undefined || completion === undefined);
  });

  test(`${name}: only the last argument is optional or takes the rest`, () => {
    for (const { optional, rest } of command.arguments.slice(0, -1)) assert.ok(optional !== true && rest !== true);
  });

  test(`${name}: the examples are valid command lines`, () => {
    for (const { line } of command.examples) {
      const [program = '', ...words] = (line.split(/ [|>&<]/)[0] ?? '').split(' ');
      const verb = commands.find(({ alias }) => alias === program)?.name;
      assert.equal(parseCommandLine(verb === undefined ? words : [verb, ...words], program).kind, 'command');
    }
  });

  test(`${name}: help fits the terminal and shows everything`, () => {
    const text = commandHelp(command, `stasis ${name}`, 80);
    for (const option of options) assert.ok(text.includes(`--${option.name}`), option.name);
    for (const code of command.errors) assert.ok(text.includes(`  ${errorCatalogue[code].exit} `), code);
    for (const line of text.split('\n')) assert.ok(line.length <= 80, line);
  });
}

test('the overview names every command', () => {
  for (const { name, summary } of commands) {
    assert.match(overview(100), new RegExp(`^  ${name} `, 'm'));
    assert.ok(overview(200).includes(summary), summary);
  }
  for (const line of overview(80).split('\n')) assert.ok(line.length <= 80, line);
});
