/** The scripts in bin/: which main file and words Node gets, and what they note of the caller for `stasis run`. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lacks } from './needs.ts';

const bin = fileURLToPath(new URL('../bin', import.meta.url));

/** A copy of bin/ beside a main file, and a `node` in PATH that shows what it is given. */
let home = '';
before(() => {
  home = mkdtempSync(join(tmpdir(), 'stasis-bin-'));
  cpSync(bin, join(home, 'bin'), { recursive: true });
  mkdirSync(join(home, 'dist/cli'), { recursive: true });
  writeFileSync(join(home, 'dist/cli/main.cjs'), '');
  mkdirSync(join(home, 'path'));
  writeFileSync(
    join(home, 'path/node'),
    `#!/bin/sh
    printf '%s\\n' "$@" "NAME=\${STASIS_NAME-unset}" "NOFILE=\${STASIS_NOFILE-unset}" "SIGIGN=\${STASIS_SIGIGN-unset}"
    exit 42\n`,
  );
  chmodSync(join(home, 'path/node'), 0o755);
});
after(() => rmSync(home, { recursive: true, force: true }));

interface Shown {
  readonly words: string[];
  readonly name: string;
  readonly openFiles: string;
  /** The ignored signals as a mask; -1 when there is no note of them. */
  readonly ignored: bigint;
}

/** Runs a shell command line in the copy; Node's place is taken by the script that shows what it gets. */
function shell(line: string): Shown {
  const environment = { PATH: `${home}/path:/usr/bin:/bin` };
  const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', line], { cwd: home, encoding: 'utf8', env: environment });
  assert.equal(stderr, '');
  assert.equal(status, 42);
  const lines = stdout.trimEnd().split('\n');
  const note = (name: string): string => lines.find((each) => each.startsWith(`${name}=`))?.slice(name.length + 1) ?? '';
  const words = lines.slice(
    0,
    lines.findIndex((each) => each.startsWith('NAME=')),
  );
  const mask = note('SIGIGN');
  return { words, name: note('NAME'), openFiles: note('NOFILE'), ignored: mask === 'unset' ? -1n : BigInt(`0x${mask}`) };
}

test('words reach Node as they are', () => {
  const { words, name } = shell(`bin/stasis checkpoint 'a  b' '' '*' -o "$HOME"`);
  assert.deepEqual(words, ['bin/../dist/cli/main.cjs', 'checkpoint', 'a  b', '', '*', '-o', '']);
  assert.equal(name, 'stasis');
});

for (const [script, verb] of [
  ['ckpt', 'checkpoint'],
  ['rstr', 'restart'],
] as const) {
  test(`${script} is stasis ${verb}`, () => {
    const { words, name } = shell(`bin/${script} 42`);
    assert.deepEqual(words.slice(1), [verb, '42']);
    assert.equal(name, script);
  });
}

test('a script finds its main file from anywhere and under any link', () => {
  symlinkSync('../bin/stasis', join(home, 'path/stasis'));
  symlinkSync(join(home, 'bin/rstr'), join(home, 'path/rstr'));
  assert.match(shell('cd / && stasis doctor').words[0] ?? '', /^\/.*\/bin\/\.\.\/dist\/cli\/main\.cjs$/);
  assert.equal(shell('cd bin && sh stasis doctor').words[0], '../dist/cli/main.cjs');
  const linked = shell('cd / && rstr');
  assert.deepEqual([linked.name, linked.words[1]], ['rstr', 'restart']);
});

test('what is missing is said', () => {
  const noNode = spawnSync('bin/ckpt', ['1'], { cwd: home, encoding: 'utf8', env: { PATH: '/nowhere' } });
  assert.deepEqual([noNode.status, noNode.stderr], [127, "ckpt: cannot find 'node' in PATH. Install Node.js 20.19 or newer\n"]);
  mkdirSync(join(home, 'unbuilt'));
  cpSync(bin, join(home, 'unbuilt/bin'), { recursive: true });
  const noMain = spawnSync('unbuilt/bin/stasis', [], { cwd: home, encoding: 'utf8' });
  assert.equal(noMain.status, 1);
  assert.match(noMain.stderr, /^stasis: unbuilt\/bin\/\.\.\/dist\/cli\/main\.cjs is missing\. Run 'npm ci'/);
});

describe('the state of the caller that Node would lose', () => {
  test('is noted for run alone', () => {
    const { openFiles, ignored } = shell('bin/stasis checkpoint run');
    assert.deepEqual([openFiles, ignored], ['unset', -1n]);
  });

  for (const interpreter of ['sh', 'bash'] as const) {
    const skip = interpreter === 'bash' && lacks('bash');
    test(`with ${interpreter}: the soft limit of open files`, { skip }, () => {
      assert.equal(shell(`ulimit -Sn 77; exec ${interpreter} bin/stasis run -- true`).openFiles, '77');
    });

    test(`with ${interpreter}: ignored signals`, { skip }, () => {
      const before = shell(`exec ${interpreter} bin/stasis run true`).ignored;
      const after = shell(`trap '' HUP USR1; exec ${interpreter} bin/stasis run true`).ignored;
      assert.equal(after & ~before, (1n << 0n) | (1n << 9n));
      const quit = shell(`trap '' QUIT; exec ${interpreter} bin/stasis run true`).ignored;
      assert.equal(quit & 4n, 4n);
      assert.equal(before & 4n, 0n);
    });
  }
});
