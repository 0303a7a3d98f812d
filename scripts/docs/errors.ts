/** docs/errors.md */
import { otherExits } from '../../src/cli/commands.ts';
import { errorCatalogue } from '../../src/errors.ts';
import { code, generatedNotice, table } from './markdown.ts';

export function errorsPage(): string {
  const codes = Object.entries(errorCatalogue).map(([name, { exit, meaning }]) => [code(name), String(exit), meaning]);
  return `${generatedNotice('src/errors.ts')}# Errors

Every error that leaves the library is a ${code('StasisError')} with one of these codes. The commands end with the exit code beside it.

${table(['code', 'exit code', 'meaning'], codes)}

${table(['other exit codes', 'meaning'], [['0', 'Done.'], ...otherExits.map(({ exit, meaning }) => [exit, meaning])])}

## Fields

As properties of the error, and in the document that ${code('--json')} prints:

${table(
  ['field', 'of', 'meaning'],
  [
    ['code', 'all', 'One of the codes above'],
    ['message', 'all', 'What could not be done, and why'],
    ['hint', 'some', 'What to do about it'],
    [
      'phase',
      'some',
      'What was being done: prepare, freeze, collect, memory, write, commit, resume, read, exec, restore or supervise',
    ],
    ['pid', 'some', 'The process it is about'],
    ['blockers', code('CANNOT_CARRY'), 'Everything that stands in the way, each with object, place, reason and remedy'],
    ['syscall, errno, errnoName', 'system calls', 'What was called and what it answered'],
    ['offset, path', code('IMAGE'), 'Where in the image: bytes from its start, and the field'],
    ['trail', `${code('--json -v')} only`, 'Where it arose, and its causes'],
  ].map((row) => row.map((text, column) => (column === 0 ? text.split(', ').map(code).join(', ') : text))),
)}
`;
}
