import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StasisError } from '../errors.ts';
import { parseCommandLine, type Invocation } from './parse.ts';

function invocation(words: string[], invokedAs?: string): Invocation {
  const request = parseCommandLine(words, invokedAs);
  assert.ok(request.kind === 'command');
  return request.invocation;
}

/** Message and hint of a usage error. */
function complaint(words: string[], invokedAs?: string): string {
  try {
    parseCommandLine(words, invokedAs);
  } catch (error) {
    assert.ok(error instanceof StasisError);
    assert.equal(error.exitCode, 2);
    return `${error.message}. ${error.hint}`;
  }
  return assert.fail(`${words.join(' ')} was accepted`);
}

test('options in every spelling and place', () => {
  for (const words of [
    ['checkpoint', '42', '-o', 'f', '-q', '-v'],
    ['checkpoint', '-qvof', '42'],
    ['checkpoint', '--output=f', '42', '-vq'],
    ['checkpoint', '--quiet', '--output', 'f', '--verbose', '--', '42'],
  ]) {
    const parsed = invocation(words);
    assert.equal(parsed.command.name, 'checkpoint');
    assert.equal(parsed.argument('PID'), '42');
    assert.equal(parsed.value('output'), 'f');
    assert.ok(parsed.flag('quiet') && parsed.flag('verbose') && !parsed.flag('json'), words.join(' '));
  }
});

test('a dash alone is an argument and a value', () => {
  assert.equal(invocation(['restart', '-']).argument('FILE'), '-');
  assert.equal(invocation(['checkpoint', '1', '-o', '-']).value('output'), '-');
  assert.equal(invocation(['restart']).argument('FILE'), undefined);
});

test("run leaves the stranger's words alone", () => {
  for (const [words, rest] of [
    [
      ['run', 'ls', '-l', '--', '--json'],
      ['ls', '-l', '--', '--json'],
    ],
    [
      ['run', '--', '-x', '-v'],
      ['-x', '-v'],
    ],
    [
      ['run', '-v', '--', 'ls', '--help'],
      ['ls', '--help'],
    ],
    [
      ['run', '-v', 'ls', '--version'],
      ['ls', '--version'],
    ],
  ] as const) {
    assert.deepEqual(invocation([...words]).rest, rest);
  }
  assert.ok(invocation(['run', '-v', 'ls']).flag('verbose'));
  assert.ok(!invocation(['run', 'ls', '-v']).flag('verbose'));
});

test('help and version, wherever they stand', () => {
  assert.equal(parseCommandLine(['--help']).kind, 'help');
  assert.equal(parseCommandLine(['-V']).kind, 'version');
  assert.equal(parseCommandLine(['checkpoint', '--version']).kind, 'version');
  const request = parseCommandLine(['checkpoint', '--kill', '-h'], 'ckpt');
  assert.ok(request.kind === 'help' && request.command?.name === 'checkpoint');
  assert.equal(request.name, 'ckpt');
});

test('the name of a command line is what was typed', () => {
  assert.equal(invocation(['checkpoint', '1'], 'ckpt').name, 'ckpt');
  assert.equal(invocation(['restart'], 'rstr').name, 'rstr');
  assert.equal(invocation(['checkpoint', '1']).name, 'stasis checkpoint');
});

test('usage errors say what is wrong and what is right', () => {
  assert.match(complaint([]), /No command.*checkpoint, restart, branch, run, inspect, verify, merge, doctor/);
  assert.match(complaint(['chekpoint']), /Did you mean: stasis checkpoint/);
  assert.match(complaint(['frobnicate']), /Commands: checkpoint/);
  assert.match(complaint(['--json']), /--json before the command/);
  assert.match(complaint(['checkpoint', '1', '--leave-runing']), /Did you mean: --leave-running/);
  assert.match(complaint(['checkpoint', '1', '-x']), /-x/);
  assert.match(complaint(['checkpoint', '1', '-o']), /-o needs a value: -o FILE/);
  assert.match(complaint(['checkpoint', '1', '-o', '--kill']), /-o needs a value/);
  assert.match(complaint(['checkpoint', '1', '--output=']), /--output needs a value/);
  assert.match(complaint(['checkpoint', '1', '--kill=yes']), /--kill takes no value/);
  assert.match(complaint(['checkpoint', '1', '--kill', '--leave-stopped']), /--kill and --leave-stopped exclude each other/);
  assert.match(complaint(['checkpoint', '1', '-o', 'f', '--dry-run']), /--dry-run and --output exclude each other/);
  assert.match(complaint(['checkpoint']), /PID is missing/);
  assert.match(complaint(['checkpoint', '1', '2']), /"2" is one argument too many/);
  assert.match(complaint(['doctor', 'me']), /no argument/);
  assert.match(complaint(['run']), /COMMAND/);
  assert.match(complaint(['run', '--']), /COMMAND/);
});

test('asking for what the table does not have is a bug', () => {
  const parsed = invocation(['doctor']);
  assert.throws(() => parsed.flag('kill'), /doctor has no option kill/);
  assert.throws(() => parsed.argument('PID'), /doctor has no argument PID/);
});
