/**
 * Every blocking system call, under a checkpoint and over a restart: no EINTR that no signal caused, and the right time.
 * The program says what it measured; here only the time during which it did not exist is measured, and handed to it.
 */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room, succeeded } from './harness.ts';
import { type Program } from './program.ts';
import { lacks } from './needs.ts';

const endByTime = [
  'nanosleep',
  'clock_nanosleep',
  'clock_nanosleep-realtime',
  'clock_nanosleep-absolute',
  'poll',
  'poll-nothing',
  'ppoll',
  'select',
  'pselect',
  'epoll_wait',
  'epoll_pwait',
  'futex',
  'futex-absolute',
  'sigtimedwait',
  'semtimedop',
];
const endByInput = ['read', 'poll-input', 'select-input', 'epoll_wait-input'];
const endBySignal = ['pause', 'sigsuspend', 'semop', 'futex-signal', 'sigwaitinfo'];

const limitMs = 2500;
/** A checkpoint makes a sleep late by 50 ms at most; the rest is for a machine that does something else besides. */
const toleranceMs = 100;
/** When exactly the program stopped and began again is known here to within the start and end of two commands. */
const restartToleranceMs = 150;

async function begin(room: Room, mode: string, tolerance: number): Promise<Program> {
  const command = [room.program('blocked'), room.path('go'), mode, String(limitMs), String(tolerance)];
  const program = await room.start(command, { stdin: 'pipe' });
  await program.line(/^ready/);
  await sleep(150);
  assert.equal(program.state, 'S', 'it waits in the kernel');
  return program;
}

async function end(mode: string, program: Program): Promise<void> {
  await sleep(100);
  if (endByInput.includes(mode) || endBySignal.includes(mode)) {
    assert.equal(program.state, 'S', `it still waits: ${program.describe()}`);
    if (endByInput.includes(mode)) program.stdin?.write('x\n');
    else program.signal('SIGUSR1');
  }
  await program.passes();
}

suite('blocked in a system call', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const mode of [...endByTime, ...endByInput, ...endBySignal]) {
    test(`${mode}: goes on after two checkpoints`, async () => {
      using room = new Room();
      const program = await begin(room, mode, toleranceMs);
      await room.checkpoint(program, room.path('image.1'));
      await room.checkpoint(program, room.path('image.2'));
      room.go('0');
      await end(mode, program);
    });

    test(`${mode}: goes on after kill and restart`, async () => {
      using room = new Room();
      const program = await begin(room, mode, restartToleranceMs);
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), '--kill', '--json'], {
        meanwhile: () => watchFreeze(program),
      });
      succeeded('checkpoint', result);
      const stopped = lastRunning;
      const again = await room.restart(room.path('image'), program, { stdin: 'pipe' });
      // The command prints the pid when the program runs, and then needs a moment to end.
      room.go(String(performance.now() - stopped - 10));
      await end(mode, again);
    });
  }
});

/** When the program was last seen untraced; a stop for tracing is state t. */
let lastRunning = 0;
async function watchFreeze(program: Program): Promise<void> {
  while (program.state === 'S') {
    lastRunning = performance.now();
    await sleep(1);
  }
}
