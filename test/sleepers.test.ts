/** Threads that sleep in calls which the kernel continues by restart_syscall: each keeps the time that is left, whatever happens. */
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';

const limitMs = 4000;
/** Far less than what a forgotten first half of a sleep would make. */
const toleranceMs = 700;

suite('threads asleep', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('go on after three checkpoints, a restart, another checkpoint and another restart', async () => {
    using room = new Room();
    const started = await room.start([room.program('sleepers'), room.path('go'), '12', String(limitMs), String(toleranceMs)]);
    await started.line(/^ready/);
    let program = started;
    for (const round of [1, 2, 3]) {
      await sleep(200);
      await room.checkpoint(program, room.path(`image.${round}`));
    }
    let away = 0;
    for (const round of [4, 5]) {
      await sleep(200);
      const result = await room.stasis([
        'checkpoint',
        String(program.pid),
        '-o',
        room.path(`image.${round}`),
        '--kill',
        '--stats',
      ]);
      succeeded('checkpoint', result);
      const stopped = performance.now();
      program = await room.restart(room.path(`image.${round}`), program);
      away += performance.now() - stopped;
    }
    room.go(String(away));
    await program.passes();
  });
});
