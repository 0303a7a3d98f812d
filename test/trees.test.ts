/** Trees of processes: relations, sessions, groups, zombies. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { descendants, identify, kill, mentioning, processState, runningExecutable, tracerOf } from './processes.ts';
import { until, type Program } from './program.ts';

async function begin(room: Room, name: string, ...rest: string[]): Promise<Program> {
  const program = await room.start([room.program(name), room.path('go'), ...rest]);
  await program.line(/^ready \d+\n/);
  for (const pid of descendants(program.pid)) room.own(pid);
  return program;
}

/** Their pids are free again, once whoever inherited them has waited for them. */
async function killAndWait(room: Room, program: Program): Promise<void> {
  const pids = [program.pid, ...descendants(program.pid)];
  await room.checkpoint(program, room.path('image'), '--kill');
  await until('the end of the tree', () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
}

const rounds = Math.ceil(Number(process.env['STASIS_KILL_ROUNDS'] ?? 40) / 4);
const needsRoot = process.getuid?.() !== 0 && 'needs root, to choose pids';

suite('a tree of processes', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('undisturbed', async () => {
    using room = new Room();
    const program = await begin(room, 'tree');
    room.go();
    await program.passes();
  });

  test('goes on after a checkpoint', async () => {
    using room = new Room();
    const program = await begin(room, 'tree');
    await room.checkpoint(program, room.path('image'));
    room.go();
    await program.passes();
  });

  test('goes on after kill and restart', { skip: needsRoot }, async () => {
    using room = new Room();
    const program = await begin(room, 'tree');
    await killAndWait(room, program);
    const again = await room.restart(room.path('image'), program);
    for (const pid of descendants(again.pid)) room.own(pid);
    room.go();
    await again.passes();
  });

  test('through three generations', { skip: needsRoot }, async () => {
    using room = new Room();
    let program = await begin(room, 'tree');
    for (let generation = 1; generation <= 3; generation++) {
      await killAndWait(room, program);
      program = await room.restart(room.path('image'), program);
      for (const pid of descendants(program.pid)) room.own(pid);
    }
    room.go();
    await program.passes();
  });

  test(`${rounds} checkpoints of a tree are killed`, { timeout: 60_000 + rounds * 1000 }, async () => {
    using room = new Room();
    const program = await begin(room, 'tree');
    const members = [program.pid, ...descendants(program.pid)].map(identify);
    const running = members.filter((member) => processState(member) !== undefined);
    const whole = (await room.checkpoint(program, room.path('first'))).ms;
    for (let round = 0; round < rounds; round++) {
      await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')], {
        meanwhile: async (child) => {
          await sleep(Math.random() * whole * 1.1);
          child.kill('SIGKILL');
        },
      });
      for (const member of running) {
        await until(
          `${member.pid} goes on in round ${round}`,
          () => tracerOf(member.pid) === 0 && !/^[tT]$/.test(processState(member) ?? 'gone'),
        );
        assert.notEqual(processState(member), undefined, `${member.pid} has ended in round ${round}`);
      }
      assert.equal(runningExecutable(room.path('tree')).length, running.length, `something is left in round ${round}`);
    }
    room.go();
    await program.passes();
  });

  test(`${rounds} restarts of a tree are killed`, { skip: needsRoot, timeout: 60_000 + rounds * 1000 }, async () => {
    using room = new Room();
    const program = await begin(room, 'tree');
    const left = (): number[] => runningExecutable(room.path('tree'));
    const whole = left().length;
    await killAndWait(room, program);
    for (let round = 0; round < rounds; round++) {
      await room.stasis(['restart', '-d', room.path('image')], {
        meanwhile: async (child) => {
          await sleep(Math.random() * 300);
          child.kill('SIGKILL');
        },
      });
      // All of it runs, or nothing of it is there.
      await until(`round ${round}: whole or gone`, () => [0, whole].includes(left().length), {
        describe: () =>
          left()
            .map((pid) => `${pid} ${processState(identify(pid))}`)
            .join(),
      });
      for (const pid of left()) kill(room.own(pid), 'SIGKILL');
      await until('the end', () => left().length === 0);
    }
    // One that was just being made waits for us for a while (linux/spawn.ts: gate).
    await until('the end of our helpers', () => mentioning(room.path('image')).length === 0);
  });

  test('memory that is shared since a fork is stored once, and is shared again', { skip: needsRoot }, async () => {
    using room = new Room();
    const program = await begin(room, 'prefork', '8', '16');
    const before = sharedOut(program);
    await killAndWait(room, program);
    const { size } = fs.statSync(room.path('image'));
    assert.ok(size < 2 * 16 * 1.1 * 2 ** 20, `the image has ${size} bytes`);
    const again = await room.restart(room.path('image'), program);
    for (const pid of descendants(again.pid)) room.own(pid);
    const after = sharedOut(again);
    assert.ok(after < before * 1.1 + 2000, `${after} KiB in all, ${before} before`);
    room.go();
    await again.passes();
  });
});

/** Memory of the tree in KiB, each page counted once. */
function sharedOut(program: Program): number {
  const pss = (pid: number): number => Number(/^Pss:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1]);
  return [program.pid, ...descendants(program.pid)].reduce((sum, pid) => sum + pss(pid), 0);
}
