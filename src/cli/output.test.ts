import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

/** Runs a program that uses output.ts, with the given redirections; `script` makes a terminal where one is wanted. */
function run(program: string, redirections = '', environment: Record<string, string> = {}) {
  const code = `import * as output from '${import.meta.dirname}/output.ts'; ${program}`;
  return spawnSync('sh', ['-c', `exec "$0" --import tsx --input-type=module -e "$1" ${redirections}`, process.execPath, code], {
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '', ...environment },
  });
}

test('results go to standard output, messages to standard error', () => {
  const { stdout, stderr } = run(`output.print('result\\n'); output.say('message\\n'); output.printJSON({ a: 1n })`);
  assert.equal(stdout, 'result\n{\n  "a": "1"\n}\n');
  assert.equal(stderr, 'message\n');
});

test('what is no terminal gets no colours and 80 columns', () => {
  const { stdout } = run(
    `output.print([output.isTerminal(1), output.terminalWidth(1), output.painter(1)('red', 'x')].join(' '))`,
  );
  assert.equal(stdout, 'false 80 x');
});

test('/dev/null and a closed descriptor are no terminals', () => {
  const { stderr } = run(
    `output.say([output.isTerminal(0), output.isTerminal(1), output.isTerminal(99)].join(' '))`,
    '</dev/null >/dev/null',
  );
  assert.equal(stderr, 'false false false');
});

test('a full disk is an error, a reader that went away is not', () => {
  const full = run(`try { output.print('x') } catch (error) { output.say(error.message) }`, '>/dev/full');
  assert.match(full.stderr, /standard output.*ENOSPC/);
  const gone = run(`for (;;) output.print('x\\n')`, '| head -n 1');
  assert.equal(gone.stdout, 'x\n');
  assert.equal(gone.stderr, '');
});
