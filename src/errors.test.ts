import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  CannotCarryError,
  errorCatalogue,
  errorFromJSON,
  ImageError,
  StasisError,
  SyscallError,
  type Blocker,
  type ErrorCode,
} from './errors.ts';

const codes = Object.keys(errorCatalogue) as ErrorCode[];
const blocker: Blocker = { object: 'fd 7', place: 'socket:[123]', reason: 'A socket is in use', remedy: 'Close it' };

const examples: StasisError[] = [
  ...codes.map((code) => new StasisError(code, `Cannot do ${code}`)),
  new StasisError('VANISHED', 'It exited', { phase: 'collect', pid: 42, hint: 'Try again' }),
  new CannotCarryError(42, [blocker, { ...blocker, place: '' }]),
  new CannotCarryError(42, []),
  new SyscallError('ptrace', 1, 'EPERM', 'Cannot stop 42', { phase: 'freeze', pid: 42, hint: 'Be root' }),
  new SyscallError('ptrace', 1, 'EPERM', 'Cannot stop 42', { code: 'PRIVILEGE' }),
  new ImageError('Bad length', 4096, 'task.mm', { hint: 'Copy it again' }),
  new ImageError('Empty', 0),
];

for (const error of examples) {
  test(`${error.name} ${error.code} survives the way through JSON: ${JSON.stringify(error.message.slice(0, 30))}`, () => {
    const json = error.toJSON();
    const again = errorFromJSON(JSON.parse(JSON.stringify(json)));
    assert.deepEqual(again.toJSON(), json);
    assert.equal(again.constructor, error.constructor);
    assert.equal(again.name, error.name);
    assert.equal(again.message, error.message);
    assert.equal(again.exitCode, error.exitCode);
  });
}

test('every exit code is one of the documented ones', () => {
  const exits = new Set(codes.map((code) => errorCatalogue[code].exit));
  assert.deepEqual(
    [...exits].toSorted((a, b) => a - b),
    [1, 2, 10, 11, 12, 13, 14],
  );
});

test('the list of blockers is in the message, each with place, reason and remedy', () => {
  const { message, exitCode, phase } = new CannotCarryError(42, [blocker, { ...blocker, object: 'fd 8', place: '' }]);
  assert.match(message, /^Cannot checkpoint 42: 2 of its objects cannot be carried\.$/m);
  assert.match(message, /^ {2}fd 7 \(socket:\[123\]\): A socket is in use\. Close it$/m);
  assert.match(message, /^ {2}fd 8: A socket is in use\. Close it$/m);
  assert.equal(exitCode, 10);
  assert.equal(phase, 'collect');
});

test('an ImageError says where', () => {
  assert.equal(new ImageError('Bad length', 4096, 'task.mm').message, 'Bad length (offset 4096, task.mm)');
  assert.equal(new ImageError('Bad length', 4096).message, 'Bad length (offset 4096)');
});

test('a cause is kept', () => {
  const cause = new Error('below');
  assert.equal(new StasisError('FAILED', 'above', { cause }).cause, cause);
  assert.equal(Object.hasOwn(new StasisError('FAILED', 'above'), 'cause'), false);
});
