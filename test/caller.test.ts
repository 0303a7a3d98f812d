/** What the caller of a command hands over reaches the program that `stasis run` starts, byte for byte; and what it withholds. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { suite, test } from 'node:test';
import { commandPath, Room } from './harness.ts';

const stasis = commandPath('stasis');

/** What `script` prints, told to sh with `prefix` in $RUN. */
function printed(script: string, prefix: string): string {
  const { stdout, stderr, status } = spawnSync('sh', ['-c', script], {
    env: { PATH: process.env['PATH'], RUN: prefix },
    encoding: 'latin1',
  });
  assert.equal(status, 0, stderr);
  return stdout;
}

suite('under stasis run as without it', () => {
  for (const [what, script] of [
    [
      'the environment',
      `exec env -i PATH="$PATH" dotted.name=1 'BASH_FUNC_f%%=() { :; }' "BYTES=$(printf '\\376\\377')" $RUN cat /proc/self/environ`,
    ],
    ['an empty environment', 'exec env -i PATH="$PATH" $RUN cat /proc/self/environ'],
    ['arguments', `exec $RUN printf '%s|' "$(printf '\\376\\377')" '' 'a b' -- --help`],
    ['blocked signals', 'exec env --block-signal=USR1,WINCH $RUN grep SigBlk /proc/self/status'],
  ] as const) {
    test(what, () => assert.equal(printed(script, `${stasis} run --`), printed(script, '')));
  }

  test('an environment larger than one string may be', () => {
    const variables = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`V${index}`, 'x'.repeat(120_000)]));
    const { stdout, stderr } = spawnSync(stasis, ['run', '--', 'sh', '-c', 'cat /proc/self/environ | wc -c'], {
      env: { PATH: process.env['PATH'], ...variables },
      encoding: 'utf8',
    });
    assert.ok(Number(stdout) > 12 * 120_000, stderr);
  });
});

test('an image is not lost in a standard output that is closed', async () => {
  using room = new Room();
  const program = await room.start(['sleep', '1000']);
  const script = room.path('script');
  writeFileSync(script, `exec ${stasis} checkpoint ${program.pid} --kill >&-`);
  const { status, stderr } = spawnSync('sh', [script], { encoding: 'utf8' });
  assert.equal(status, 1);
  assert.match(stderr, /Cannot write the image to descriptor 1: \w+ answered EBADF/);
  assert.match(program.state ?? 'gone', /[RS]/);
});
