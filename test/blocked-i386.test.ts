/**
 * Blocking system calls of 32-bit programs, over a checkpoint and then a restart: by their 32-bit numbers and structures,
 * with times of 32 and of 64 bits. What blocked.test.ts checks of 64-bit programs call by call.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';

const time32 = { name: 'times of 32 bits', flags: ['-m32'] };
const time64 = { name: 'times of 64 bits', flags: ['-m32', '-D_TIME_BITS=64', '-D_FILE_OFFSET_BITS=64'] };

const byTime = ['nanosleep', 'clock_nanosleep', 'ppoll', 'select', 'pselect', 'futex', 'sigtimedwait', 'semtimedop'];
const cases = [
  ...byTime.flatMap((mode) => [time32, time64].map(({ name, flags }) => ({ mode, name, flags }))),
  ...['poll', 'futex-absolute', 'read', 'pause', 'sigsuspend', 'semop'].map((mode) => ({
    mode,
    name: time32.name,
    flags: time32.flags,
  })),
];

const limitMs = 6000;
/** A call that began anew would be late by what has passed before the checkpoint: far more than this. */
const passedMs = 1500;
const toleranceMs = 700;

/** Several at a time: they mostly sleep. */
suite('32-bit programs blocked', { skip: lacks('gcc', 'libc6-dev', 'gcc-multilib', 'libc6-dev-i386'), concurrency: 8 }, () => {
  for (const { mode, name, flags } of cases) {
    test(`${mode} with ${name} goes on after a checkpoint, and after kill and restart`, async () => {
      using room = new Room();
      const command = [room.program('blocked', flags), room.path('go'), mode, String(limitMs), String(toleranceMs)];
      const program = await room.start(command, { stdin: 'pipe' });
      await program.line(/^ready/);
      await sleep(passedMs / 2);
      await room.checkpoint(program, room.path('image.1'));
      await sleep(passedMs / 2);
      assert.equal(program.state, 'S', 'it waits in the kernel');
      let stopped = 0;
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), '--kill'], {
        meanwhile: async () => {
          for (; program.state === 'S'; await sleep(1)) stopped = performance.now();
        },
      });
      succeeded('checkpoint', result);
      const again = await room.restart(room.path('image'), program, { stdin: 'pipe' });
      room.go(String(performance.now() - stopped));
      await sleep(100);
      if (!byTime.includes(mode) && mode !== 'poll' && mode !== 'futex-absolute') {
        assert.equal(again.state, 'S', `it still waits: ${again.describe()}`);
        if (mode === 'read') again.stdin?.write('x\n');
        else again.signal('SIGUSR1');
      }
      await again.passes();
    });
  }
});
