import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** What reportError tells about the error that `expression` makes, for that command line. */
function report(expression: string, words: readonly string[]) {
  const code = `
    import { CannotCarryError, StasisError } from '${import.meta.dirname}/../errors.ts';
    import { parseCommandLine, UsageError } from '${import.meta.dirname}/parse.ts';
    import { reportError } from '${import.meta.dirname}/report.ts';
    const words = ${JSON.stringify(words)};
    let invocation, error;
    try { invocation = parseCommandLine(words).invocation; error = ${expression}; } catch (wrong) { error = wrong; }
    process.exit(reportError(error, invocation, words));`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    encoding: 'utf8',
  });
  return { stdout, stderr, status };
}

const failed = `new StasisError('FAILED', 'It failed', { hint: 'Try again.', cause: new Error('the reason') })`;

test('message, then hint; the command stands before it', () => {
  const { stdout, stderr, status } = report(failed, ['checkpoint', '1', '-o', 'x']);
  assert.deepEqual({ stdout, stderr, status }, { stdout: '', stderr: 'stasis checkpoint: It failed\nTry again.\n', status: 1 });
});

test('-v adds the causes and where it arose', () => {
  const { stderr } = report(failed, ['checkpoint', '1', '-v']);
  assert.match(stderr, /^stasis checkpoint: It failed\nTry again\.\n\s+at [^]*Cause: Error: the reason\n\s+at /);
});

test('--json: one document, nothing on standard error', () => {
  const { stdout, stderr, status } = report(failed, ['verify', 'x', '--json']);
  assert.deepEqual(JSON.parse(stdout), { ok: false, error: { code: 'FAILED', message: 'It failed', hint: 'Try again.' } });
  assert.equal(stderr, '');
  assert.equal(status, 1);
});

test('blockers: one line each, and as data', () => {
  const blocker = { object: 'fd 7', place: 'socket:[1]', reason: 'it is a socket', remedy: 'Close it' };
  const error = `new CannotCarryError(1, [${JSON.stringify(blocker)}, ${JSON.stringify({ ...blocker, object: 'fd 8' })}])`;
  const { stderr, status } = report(error, ['checkpoint', '1']);
  assert.match(stderr, /^stasis checkpoint: Cannot checkpoint 1: 2 of .*\n {2}fd 7 .*Close it\n {2}fd 8 .*Close it\n$/);
  assert.equal(status, 10);
  const { stdout } = report(error, ['checkpoint', '1', '--json', '-o', 'x']);
  assert.deepEqual((JSON.parse(stdout) as { error: { blockers: unknown[] } }).error.blockers[0], blocker);
});

test('usage errors end with 2 and say what is right, as a document too', () => {
  const wrong = report('undefined', ['checkpoint', '1', '--kil']);
  assert.deepEqual(wrong, {
    stdout: '',
    stderr: 'stasis checkpoint: There is no option --kil\nDid you mean: --kill\n',
    status: 2,
  });
  const json = report('undefined', ['checkpoint', '--json']);
  assert.equal(json.status, 2);
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, 'USAGE');
  assert.equal(report('undefined', ['run', '--', 'true', '--json']).stdout, '', 'an option of the command to be run is not ours');
});

test('an error that nobody foresaw says where it arose', () => {
  const { stderr, status } = report(`new TypeError('x is not a function')`, ['verify', 'x']);
  assert.match(stderr, /^stasis verify: Unexpected error: x is not a function\nThis is a mistake in Stasis.*\n\s+at /);
  assert.equal(status, 1);
});
