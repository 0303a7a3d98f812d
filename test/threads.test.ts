/** Processes of many threads: a thousand of them, stopped ones, threads that come and go, and checkpoints that are killed. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { tracerOf } from './processes.ts';
import { until, type Program } from './program.ts';

const tasksOf = (pid: number): number[] => fs.readdirSync(`/proc/${pid}/task`).map(Number);
const stateOf = (tid: number): string => /\) (\w)/.exec(fs.readFileSync(`/proc/${tid}/stat`, 'utf8'))?.[1] ?? '';
const mapsOf = (pid: number): string => fs.readFileSync(`/proc/${pid}/maps`, 'utf8');
const masksOf = (pid: number): string[] =>
  tasksOf(pid).map((tid) => /^SigBlk:.*$/m.exec(fs.readFileSync(`/proc/${tid}/status`, 'utf8'))?.[0] ?? '');

async function begin(room: Room, count: number): Promise<Program> {
  const program = await room.start([room.program('threads'), room.path('go'), String(count)]);
  await program.line(/^ready \d+\n/);
  return program;
}

suite('threads', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('three hundred', { timeout: 170_000 }, async () => {
    using room = new Room();
    const program = await begin(room, 300);
    await room.checkpoint(program, room.path('image'));
    await room.checkpoint(program, room.path('image'), '--kill');
    await program.gone();
    const again = await room.restart(room.path('image'), program);
    assert.equal(tasksOf(again.pid).length, 301);
    room.go();
    await again.passes();
  });

  test('stopped ones stay stopped, and come back stopped, all of them', async () => {
    using room = new Room();
    const program = await begin(room, 20);
    program.signal('SIGSTOP');
    const stopped = (pid: number) => tasksOf(pid).every((tid) => stateOf(tid) === 'T');
    await until('all are stopped', () => stopped(program.pid));
    await room.checkpoint(program, room.path('image'));
    await until('all are stopped again', () => stopped(program.pid));
    program.signal('SIGKILL');
    await program.gone();
    const again = await room.restart(room.path('image'), program);
    await until('all come back stopped', () => stopped(again.pid));
    again.signal('SIGCONT');
    room.go();
    await again.passes();
  });

  test('made and ended while they are stopped', async () => {
    using room = new Room();
    let program = await room.start([room.program('churn'), room.path('go')]);
    await program.line(/^ready \d+\n/);
    for (let round = 0; round < 6; round++) await room.checkpoint(program, room.path('image'));
    for (let round = 0; round < 3; round++) {
      await room.checkpoint(program, room.path('image'), '--kill');
      await program.gone();
      program = await room.restart(room.path('image'), program);
      await sleep(Math.random() * 100);
    }
    room.go();
    await program.passes();
  });

  test('checkpoints that are killed leave every thread as it was', { timeout: 170_000 }, async () => {
    using room = new Room();
    const program = await begin(room, 30);
    const [maps, masks] = [mapsOf(program.pid), masksOf(program.pid)];
    let killed = 0;
    for (let round = 0; round < 8; round++) {
      await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')], {
        meanwhile: async (child) => {
          while (tracerOf(program.pid) === 0 && child.exitCode === null) await new Promise((next) => setImmediate(next));
          const end = performance.now() + Math.random() * 60;
          while (performance.now() < end) await new Promise((next) => setImmediate(next));
          if (child.kill('SIGKILL')) killed++;
        },
      });
      await until('nobody traces it', () => tracerOf(program.pid) === 0);
      // What heals itself runs for a moment longer.
      await until('the maps are as they were', () => mapsOf(program.pid) === maps);
      await until('the signal masks are as they were', () => masksOf(program.pid).join() === masks.join());
    }
    assert.ok(killed > 0, 'every command was faster than its killer');
    room.go();
    await program.passes();
  });

  test('refused by name: the first thread has ended; a thread in vfork', async () => {
    using room = new Room();
    for (const [mode, wanted] of [
      ['leaderless', /it has ended while others go on/],
      ['vfork', /waits in vfork/],
    ] as const) {
      const program = await room.start([room.program('odd-threads'), room.path('go'), mode]);
      await program.line(/^ready \d+\n/);
      await sleep(50);
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]);
      assert.equal(result.code, 10, result.stderr);
      assert.match(result.stderr, wanted);
      room.go();
      await program.line(/^PASS/m);
      fs.rmSync(room.path('go'));
    }
  });
});
