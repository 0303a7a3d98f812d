/** Timers that fire: neither a checkpoint nor a restart makes them early or late. The time in which the program did not exist does not count. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import type { Program } from './program.ts';

async function begin(room: Room): Promise<Program> {
  const program = await room.start([room.program('alarms'), room.path('go')]);
  await program.line(/^ready/);
  await sleep(100);
  return program;
}

suite('timers that fire', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('during and after two checkpoints', async () => {
    using room = new Room();
    const program = await begin(room);
    await room.checkpoint(program, room.path('image.1'));
    await room.checkpoint(program, room.path('image.2'));
    room.go('0');
    await program.passes();
  });

  test('after kill and restart', async () => {
    using room = new Room();
    const program = await begin(room);
    let lastRunning = 0;
    const watch = async (): Promise<void> => {
      while (program.state === 'S' || program.state === 'R') {
        lastRunning = performance.now();
        await sleep(1);
      }
    };
    const command = ['checkpoint', String(program.pid), '-o', room.path('image'), '--kill'];
    succeeded('checkpoint', await room.stasis(command, { meanwhile: watch }));
    await program.gone();
    await sleep(1000);
    const again = await room.restart(room.path('image'), program);
    // The command prints the pid when the program runs, and then needs a moment to end.
    room.go(String(performance.now() - lastRunning - 10));
    await again.passes();
    assert.equal(again.stderr, '');
  });
});
