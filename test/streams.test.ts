/** An image goes through any descriptor, in one pass. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { suite, test } from 'node:test';
import { begin, unharmed } from './expectations.ts';
import { commandPath, Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { until } from './program.ts';

suite('one pass, any descriptor', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('checkpoint | restart through a pipe', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '16');
    const script = `${commandPath('ckpt')} ${program.pid} --kill | cat | ${commandPath('stasis')} restart -d`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
    const again = room.own(Number(stdout));
    await program.gone();
    room.go();
    await until('PASS', () => /^PASS$/m.test(program.stdout), {
      describe: () => `${JSON.stringify(again)} ${program.describe()}`,
    });
  });

  test('ckpt PID > out, verify, inspect, rstr < out', async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    succeeded('ckpt', await room.command('ckpt', [String(program.pid)], { stdout: room.path('out') }));
    succeeded('verify', await room.stasis(['verify', room.path('out')]));
    const { stdout } = succeeded('inspect', await room.stasis(['inspect', '--json', room.path('out')]));
    assert.equal(JSON.parse(stdout).ok, true);
    assert.match(succeeded('inspect', await room.stasis(['inspect', room.path('out')])).stdout, /spin/);
    await unharmed(room, program);
  });
});
