/** The ways to save memory have one meaning: the process at the moment when it was stopped, and nothing to be seen from inside. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { descendants, kill, ordinaryUser, tracerOf } from './processes.ts';
import { until, type Program } from './program.ts';

interface Stats {
  freezeMode: string;
  freezeReason: string;
}

async function checkpoint(room: Room, program: Program, image: string, ...flags: string[]): Promise<Stats> {
  const finished = await room.stasis(['checkpoint', String(program.pid), '--json', '-o', image, ...flags]);
  assert.equal(finished.code, 0, finished.stdout + finished.stderr);
  return (JSON.parse(finished.stdout) as { stats: Stats }).stats;
}

function start(room: Room, ...args: string[]): Promise<Program> {
  return room.start([room.program('invariants', ['-pthread']), room.path('go'), ...args]);
}

const modes = ['stop', 'fork', 'precopy'] as const;
const user = ordinaryUser(checkout);

for (const { caller, uid, skip } of [
  { caller: 'this user', uid: undefined, skip: false as const },
  { caller: 'an ordinary user', ...user },
]) {
  suite(`as ${caller}`, { skip: lacks('gcc', 'libc6-dev') || skip }, () => {
    for (const mode of modes) {
      test(`--freeze=${mode}: a moment of a program that changes all the while, and it goes on`, async () => {
        using room = new Room({ uid });
        const program = await start(room, '3', '48', 'uncopied');
        await program.line(/^ready/);
        for (const number of [1, 2, 3]) {
          const stats = await checkpoint(room, program, room.path(`image.${number}`), '--freeze', mode);
          assert.equal(stats.freezeMode, mode, stats.freezeReason);
          assert.equal(tracerOf(program.pid), 0);
          assert.equal(fs.readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8'), '');
        }
        room.go();
        await program.passes();
        await program.gone();
        fs.rmSync(room.path('go'));
        fs.truncateSync(program.stdoutPath, program.stdout.indexOf('\n') + 1);
        const again = await room.restart(room.path('image.2'), program);
        await sleep(50);
        room.go();
        await again.passes();
      });
    }
  });
}

suite('memory that a fork treats in its own way', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const words of [['kinds'], ['shared', '.'], ['segments']]) {
    const [name = '', ...rest] = words;
    test(name, async () => {
      using room = new Room();
      const program = await room.start([room.program(name), room.path('go'), ...rest]);
      await program.line(/^ready/);
      const { freezeMode, freezeReason } = await checkpoint(room, program, room.path('image'), '--freeze=fork');
      assert.equal(freezeMode, 'fork', freezeReason);
      program.signal('SIGKILL');
      await program.gone();
      const again = await room.restart(room.path('image'), program);
      room.go();
      await again.passes();
    });
  }
});

suite('the choice', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('auto copies a large memory, stops for a small one, and for what does not run on', async () => {
    using room = new Room();
    const large = await start(room, '1', '48');
    const small = await room.start([room.program('spin'), room.path('go')]);
    await large.line(/^ready/);
    await small.line(/^ready/);
    const saved = await checkpoint(room, large, room.path('large'));
    assert.equal(saved.freezeMode, 'fork', saved.freezeReason);
    assert.match(saved.freezeReason, /^\d+ MiB of memory/);
    assert.equal((await checkpoint(room, small, room.path('small'))).freezeMode, 'stop');
    const last = await checkpoint(room, large, room.path('last'), '--kill');
    assert.deepEqual([last.freezeMode, last.freezeReason], ['stop', 'the process does not run on afterwards']);
    const again = await room.restart(room.path('large'), large);
    room.go();
    await again.passes();
  });

  test('where fork cannot, it is stopped instead, and --stats says why', { skip: user.skip }, async () => {
    using room = new Room({ uid: user.uid });
    // No process more for this user (RLIMIT_NPROC), for which the program itself would be asked.
    const program = await room.start(['prlimit', '--nproc=1', room.program('memory'), room.path('go'), '48']);
    await program.line(/^ready/);
    const stats = await checkpoint(room, program, room.path('image'), '--freeze=fork');
    assert.deepEqual([stats.freezeMode, stats.freezeReason], ['stop', 'no copy: clone answers EAGAIN']);
    room.go();
    await program.passes();
  });

  test('fork copies a tree of processes', { skip: process.getuid?.() !== 0 && 'needs root, to choose pids' }, async () => {
    using room = new Room();
    const program = await room.start([room.program('prefork'), room.path('go'), '8', '16']);
    await program.line(/^ready \d+\n/);
    const pids = [program.pid, ...descendants(program.pid)];
    const processes = pids.map((pid) => room.own(pid));
    const stats = await checkpoint(room, program, room.path('image'), '--freeze=fork');
    assert.equal(stats.freezeMode, 'fork', stats.freezeReason);
    assert.deepEqual([program.pid, ...descendants(program.pid)], pids);
    for (const each of processes) kill(each, 'SIGKILL');
    await until('the end of the tree', () => pids.every((pid) => !fs.existsSync(`/proc/${pid}`)));
    const again = await room.restart(room.path('image'), program);
    for (const pid of descendants(again.pid)) room.own(pid);
    room.go();
    await again.passes();
  });

  test('one that orphans come to is stopped instead', async () => {
    using room = new Room();
    const program = await room.start([room.program('tree'), room.path('go')]);
    await program.line(/^ready \d+\n/);
    for (const pid of descendants(program.pid)) room.own(pid);
    const stats = await checkpoint(room, program, room.path('image'), '--freeze=fork');
    assert.match(`${stats.freezeMode}: ${stats.freezeReason}`, /^stop: no copy: .*SUBREAPER/);
    room.go();
    await program.passes();
  });
});
