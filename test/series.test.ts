/** stasis run --every --keep --to --on: a series of images of a program while it runs. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { commandPath, Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { until, type Program } from './program.ts';

const images = (directory: string): string[] =>
  fs.existsSync(directory) ? fs.readdirSync(directory).filter((name) => name.endsWith('.image')).sort() : []; // prettier-ignore

function begin(room: Room, ...options: string[]): Promise<Program> {
  const program = [room.program('invariants', ['-pthread']), room.path('go'), '2', '4'];
  return room.start([commandPath('stasis'), 'run', ...options, '--to', room.path('series'), '--', ...program]);
}

suite('a series', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('at intervals: the newest can be restarted, old ones that nothing needs are gone', { timeout: 120_000 }, async () => {
    using room = new Room();
    const directory = room.path('series');
    const program = await begin(room, '--every', '200ms', '--keep', '3');
    await program.line(/^ready/);
    const number = (name: string | undefined): number => parseInt(name ?? '0', 10);
    await until('the ninth image', () => number(images(directory).at(-1)) >= 9, { timeoutMs: 90_000 });
    const there = images(directory);
    assert.ok(number(there[0]) > 1, `the first is gone: ${there.join()}`);
    assert.ok(there.length <= 6, there.join()); // 3, and what they are based on: at most 2, and one that is being made
    room.go();
    await program.passes();
    await program.gone();
    for (const name of images(directory).slice(-3)) {
      const { stdout } = succeeded(name, await room.stasis(['restart', '--dry-run', join(directory, name)]));
      assert.match(stdout, /can be restarted/);
    }
    assert.equal(fs.readlinkSync(join(directory, 'latest')), images(directory).at(-1));
    await until('the end of the supervisor', () => !fs.existsSync(join(directory, 'supervisor.pid')));

    fs.rmSync(room.path('go'));
    fs.truncateSync(program.stdoutPath, program.stdout.indexOf('\n') + 1);
    const again = await room.restart(join(directory, 'latest'), program);
    room.go();
    await again.passes();
    assert.equal(program.stderr, '');
  });

  test('at a signal', { timeout: 60_000 }, async () => {
    using room = new Room();
    const directory = room.path('series');
    const program = await begin(room, '--on', 'USR1,SIGTERM');
    await program.line(/^ready/);
    const pid = Number(await until('the supervisor', () => read(join(directory, 'supervisor.pid'))));
    for (const [index, signal] of (['SIGUSR1', 'SIGTERM', 'SIGUSR1'] as const).entries()) {
      process.kill(pid, signal);
      await until(
        `an image at ${signal}`,
        () => images(directory).length === index + 1 && fs.existsSync(join(directory, 'latest')),
      );
    }
    room.go();
    await program.passes();
    assert.equal(program.stderr, '');
  });

  test('what makes no sense is refused before the program starts', async () => {
    using room = new Room();
    for (const flags of [
      ['--every', '30s'],
      ['--to', 'x'],
      ['--to', 'x', '--every', '5'.repeat(12)],
      ['--to', 'x', '--every', '1s', '--keep', '0'],
      ['--to', 'x', '--on', 'SIGKILL'],
    ]) {
      const { code, stderr } = await room.stasis(['run', ...flags, '--', 'touch', room.path('started')]);
      assert.equal(code, 2, stderr);
    }
    assert.ok(!fs.existsSync(room.path('started')));
  });
});

function read(path: string): string | undefined {
  return fs.existsSync(path) ? fs.readFileSync(path, 'utf8').trim() || undefined : undefined;
}
