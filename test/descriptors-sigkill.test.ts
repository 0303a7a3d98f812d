/** Checkpoints of programs with descriptors of every kind are killed at random moments: nothing is taken out of them, nothing added. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { begin } from './expectations.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { readdirSync } from 'node:fs';
import { tracerOf } from './processes.ts';
import { until } from './program.ts';

const rounds = Number(process.env['STASIS_KILL_ROUNDS'] ?? 12);

suite('SIGKILL', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const [name, ...args] of [['pipes', '.'], ['events'], ['watches', '.'], ['owners']] as const) {
    test(`${rounds} checkpoints of ${name} are killed`, async () => {
      using room = new Room();
      const program = await begin(room, name, ...args);
      const open = (): string => readdirSync(`/proc/${program.pid}/fd`).join(' ');
      const before = open();
      const whole = (await room.checkpoint(program, room.path('first'))).ms;
      let killed = 0;
      for (let round = 0; round < rounds; round++) {
        const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')], {
          meanwhile: async (child) => {
            const end = performance.now() + whole * 3;
            // every second one where it has the target in its hands
            if (round % 2 === 0) await sleep(Math.random() * whole);
            else while (tracerOf(program.pid) === 0 && performance.now() < end) await new Promise((next) => setImmediate(next));
            if (round % 2 === 1) await sleep(Math.random() * 20);
            child.kill('SIGKILL');
          },
        });
        if (result.signal === 'SIGKILL') killed++;
        else assert.equal(result.code, 0, result.stderr);
        await until(
          `round ${round}: it goes on`,
          () => tracerOf(program.pid) === 0 && program.state !== 'T' && program.state !== 't',
        );
        assert.equal(open(), before, `round ${round}: its descriptors`);
      }
      assert.ok(killed > 0, 'every command was faster than its killer');
      await room.checkpoint(program, room.path('last'), '--kill');
      await program.gone();
      const again = await room.restart(room.path('last'), program);
      room.go();
      await again.passes();
    });
  }
});
