/** The examples of docs/api.md, executed as they stand. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { checkout, Room } from './harness.ts';

const page = fs.readFileSync(`${checkout}/docs/api.md`, 'utf8');
/** Each under its heading. */
const examples = page.split(/^## /m).flatMap((section) => {
  const heading = section.slice(0, section.indexOf('\n'));
  return [...section.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, code = '']) => ({ heading, code }));
});

suite('docs/api.md', () => {
  for (const { heading, code } of examples) {
    test(heading, () => {
      using room = new Room();
      const path = room.path('example.mts');
      fs.writeFileSync(path, code);
      const options = { cwd: room.directory, encoding: 'utf8', timeout: 60_000 } as const;
      const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), path], options);
      assert.equal(status, 0, stderr);
      // What a comment behind console.log promises is printed.
      for (const [, promised] of code.matchAll(/^.*console\.log\(.*\); \/\/ (.*[^…\n])$/gm))
        assert.ok(stdout.includes(promised ?? ''), stdout);
    });
  }
});
