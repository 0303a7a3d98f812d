/** Process and thread ids over a restart: `--pids same` and `--pids new`. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { identify, kill, processState, runningExecutable } from './processes.ts';
import { until, type Program } from './program.ts';
import { restart, type StasisError } from 'stasis';

const tasksOf = (pid: number): string[] => fs.readdirSync(`/proc/${pid}/task`);

async function begin(room: Room): Promise<{ program: Program; tids: string[]; image: string }> {
  const program = await room.start([room.program('threads'), room.path('go')]);
  await program.line(/^ready \d+\n/);
  const image = room.path('image');
  const tids = tasksOf(program.pid);
  await room.checkpoint(program, image);
  return { program, tids, image };
}

/** Until init has reaped it: a zombie holds its id. */
async function end(program: Program): Promise<void> {
  program.signal('SIGKILL');
  await until(`${program.pid} is free`, () => !fs.existsSync(`/proc/${program.pid}`));
}

const noRoot = process.getuid?.() !== 0 && 'choosing process ids needs root';

suite('process ids', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('the same, those of all threads too', { skip: noRoot }, async () => {
    using room = new Room();
    const { program, tids, image } = await begin(room);
    await end(program);
    const again = await room.restart(image, program, { flags: ['--pids', 'same'] });
    assert.equal(again.pid, program.pid);
    assert.deepEqual(tasksOf(again.pid), tids);
    room.go();
    await again.passes();
  });

  test('the same by the API', { skip: noRoot }, async () => {
    using room = new Room();
    const { program, image } = await begin(room);
    await end(program);
    const again = await restart(image, { pids: 'same', streams: { input: 'ignore', output: 'ignore', error: 'ignore' } });
    room.own(again.pid);
    assert.equal(again.pid, program.pid);
    again.kill('SIGKILL');
    await again.wait();
  });

  test('one that is in use is an error that names its holder, and nothing is made', async () => {
    using room = new Room();
    const { program, image } = await begin(room);
    const result = await room.stasis(['restart', '-d', '--pids', 'same', image]);
    assert.equal(result.code, 14, result.stderr);
    assert.match(result.stderr, new RegExp(`${program.pid} is in use by process ${program.pid} \\(threads\\)`));
    assert.deepEqual(runningExecutable(room.path('threads')), [program.pid]);
    await assert.rejects(restart(image, { pids: 'same' }), (error: StasisError) => error.code === 'RESTART_FAILED');
  });

  test('by default the former one where it is free, else a new one', async () => {
    using room = new Room();
    const { program, image } = await begin(room);
    const beside = await room.restart(image, program);
    assert.notEqual(beside.pid, program.pid);
    kill(identify(beside.pid), 'SIGKILL');
    await end(program);
    const again = await room.restart(image, program);
    if (process.getuid?.() === 0) assert.equal(again.pid, program.pid);
    room.go();
    await again.passes();
  });

  test('new ones beside the original; threads that get theirs again are the same as far as they are free', async () => {
    using room = new Room();
    const { program, tids, image } = await begin(room);
    const beside = await room.restart(image, program, { flags: ['--pids', 'new'] });
    assert.equal(tasksOf(beside.pid).filter((tid) => tids.includes(tid)).length, 0);
    kill(identify(beside.pid), 'SIGKILL');
    await until('the end of the other', () => processState(identify(beside.pid)) === undefined || !beside.alive);
    await end(program);
    const again = await room.restart(image, program, { flags: ['--pids', 'new'] });
    assert.notEqual(again.pid, program.pid);
    const followers = (pid: number, all: string[]): string[] => all.filter((tid) => tid !== String(pid)).toSorted();
    if (process.getuid?.() === 0) {
      assert.deepEqual(followers(again.pid, tasksOf(again.pid)), followers(program.pid, tids));
    }
    room.go();
    await again.passes();
  });

  test('the command line says what makes no sense', async () => {
    using room = new Room();
    const bad = await room.stasis(['restart', '-d', '--pids', 'other', 'x']);
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /--pids is keep, same, new/);
    const foreground = await room.stasis(['restart', '--pids', 'same', 'x']);
    assert.equal(foreground.code, 2);
    assert.match(foreground.stderr, /needs -d/);
  });
});
