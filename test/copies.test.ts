/** Many copies of one image side by side. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { until } from './program.ts';

suite('copies', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('twenty of one image, each told which one it is', async () => {
    using room = new Room();
    const program = await room.start([room.program('copy'), room.path('go'), room.directory]);
    await program.line(/^ready/);
    await room.checkpoint(program, room.path('image'), '--kill');
    const command = ['restart', '-d', '-n', '20', '--signal', 'SIGUSR1', '--json', room.path('image')];
    const { copies } = JSON.parse(succeeded('restart', await room.stasis(command)).stdout);
    assert.equal(copies.length, 20);
    const pids: number[] = copies.map((copy: { pid: number }) => room.own(copy.pid).pid);
    assert.equal(new Set(pids).size, 20);
    room.go();
    for (const [index, pid] of pids.entries()) {
      const written = await until(`the word of copy ${index}`, () => {
        const path = room.path(`copy.${index}`);
        return fs.existsSync(path) && (fs.readFileSync(path, 'utf8').trim() || undefined);
      });
      assert.equal(Number(written), pid);
    }
  });

  test('what makes no sense is a usage error', async () => {
    using room = new Room();
    for (const [flags, pattern] of [
      [['-n', '2', 'x'], /needs -d/],
      [['-d', '-n', '0', 'x'], /from 1/],
      [['-d', '-n', '2', '-'], /FILE/],
      [['-d', '--signal', 'SIGNOTHING', 'x'], /signal/],
    ] as const) {
      const result = await room.stasis(['restart', ...flags]);
      assert.equal(result.code, 2, result.stderr);
      assert.match(result.stderr, pattern);
    }
  });
});
