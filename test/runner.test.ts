/** The test runner itself: nothing that goes wrong may pass for a success. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { runFile, type FileResult } from './runner/file.ts';
import { findMarked } from './runner/leftovers.ts';
import { readOptions } from './runner/options.ts';
import { enforceSkipBudget } from './runner/skips.ts';

async function run(example: string, timeoutMs = 60_000): Promise<FileResult & { readonly marker: string }> {
  const file = fileURLToPath(new URL(`runner/examples/${example}.ts`, import.meta.url));
  const marker = randomBytes(8).toString('hex');
  const { signal } = new AbortController();
  return { ...(await runFile(file, { node: process.execPath, timeoutMs, marker, signal })), marker };
}

const outcomes = ({ tests }: FileResult): Record<string, string> =>
  Object.fromEntries(tests.map(({ name, outcome }) => [name, outcome]));

test('passes, failures and skips are told apart, with reasons and details', async () => {
  const result = await run('outcomes');
  assert.deepEqual(outcomes(result), {
    passes: 'passed',
    'is skipped': 'skipped',
    fails: 'failed',
    'passes inside': 'passed',
    'fails inside': 'failed',
    'fails below': 'failed',
  });
  assert.equal(result.tests.find(({ name }) => name === 'is skipped')?.reason, 'for a reason');
  const details = result.tests.find(({ name }) => name === 'fails')?.details ?? '';
  assert.match(details, /one is not two/);
  assert.match(details, /outcomes\.ts:8/);
  assert.doesNotMatch(details, /node:internal/);
  assert.equal(result.output, 'printed by the file\n');
});

test('a process that is left behind is found, ended and counts as a failure', async () => {
  const result = await run('leaves-a-process');
  assert.deepEqual(outcomes(result), { 'starts a process and forgets it': 'passed', '(nothing is left running)': 'failed' });
  assert.match(result.tests.at(-1)?.details ?? '', /sleep 300/);
  assert.deepEqual(findMarked(result.marker), []);
});

test('a file that hangs is ended and counts as a failure', async () => {
  const result = await run('hangs', 4000);
  assert.equal(result.tests.find(({ name }) => name === '(the file itself)')?.details, 'ended with a timeout');
  assert.deepEqual(findMarked(result.marker), []);
});

test('a file that dies counts as a failure, whatever passed before', async () => {
  const result = await run('dies');
  assert.equal(result.tests.find(({ name }) => name === '(the file itself)')?.details, 'ended with signal SIGKILL');
});

test('a file without a test counts as a failure', async () => {
  const result = await run('empty');
  assert.equal(result.tests.at(-1)?.outcome, 'failed');
});

test('only a skip that the budget names stays a skip', () => {
  const skip = { name: 'needs AVX', outcome: 'skipped', reason: 'no AVX', details: '' } as const;
  const result: FileResult = { file: 'test/a.test.ts', tests: [skip], output: '', milliseconds: 0 };
  const key = 'test/a.test.ts: needs AVX';
  const outcomeWith = (budget: Record<string, Record<string, string>>): string | undefined =>
    enforceSkipBudget(result, budget, '20').tests[0]?.outcome;
  assert.equal(outcomeWith({}), 'failed');
  assert.equal(outcomeWith({ '24': { [key]: 'why' } }), 'failed');
  assert.equal(outcomeWith({ '20': { [key]: 'why' } }), 'skipped');
  assert.equal(outcomeWith({ '*': { [key]: 'why' } }), 'skipped');
});

test('options that make no sense are refused', () => {
  assert.throws(() => readOptions(['--only', 'some']), /Cannot run only 'some' tests/);
  assert.throws(() => readOptions(['--jobs', '0']), /--jobs takes a whole number/);
  assert.throws(() => readOptions(['--filtre', 'x']), /filtre/);
  assert.deepEqual(readOptions(['--node', '/usr/bin/node']).kinds, ['process']);
  assert.deepEqual(readOptions([]).kinds, ['unit', 'process']);
});
