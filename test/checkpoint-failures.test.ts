/** A checkpoint that fails: a clear error, its exit code, the target unharmed, nothing under the final name. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { begin, failed, holdsNoImage, unharmed } from './expectations.ts';
import { checkout, commandPath, Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { ordinaryUser, tracerOf } from './processes.ts';
import { until } from './program.ts';

const user = ordinaryUser(checkout);

suite('a checkpoint that fails', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('no such process', async () => {
    using room = new Room();
    failed(await room.stasis(['checkpoint', '4194304', '-o', room.path('image')]), 13, /4194304/);
    holdsNoImage(room);
  });

  test('a command line that makes no sense', async () => {
    using room = new Room();
    for (const args of [
      ['checkpoint'],
      ['checkpoint', 'x'],
      ['checkpoint', '1', '--no-such'],
      ['restart', 'a', 'b'],
      ['nonsense'],
      ['checkpoint', '1', '--kill', '--leave-stopped'],
    ]) {
      failed(await room.stasis(args), 2);
    }
  });

  test('the device is full', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '8');
    failed(await room.stasis(['checkpoint', String(program.pid)], { stdout: '/dev/full' }), 1, /ENOSPC|[Nn]o space/);
    failed(await room.stasis(['checkpoint', String(program.pid), '--kill'], { stdout: '/dev/full' }), 1, /ENOSPC|[Nn]o space/);
    await unharmed(room, program);
  });

  test('the disk is full', { skip: process.getuid?.() !== 0 && 'needs root, to mount a small tmpfs' }, async (context) => {
    using room = new Room();
    fs.mkdirSync(room.path('disk'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', room.path('disk')]);
    if (mounted.status !== 0) return context.skip('needs mount(2), which this container withholds');
    try {
      const program = await begin(room, 'memory', '8');
      const image = room.path('disk/image');
      fs.writeFileSync(image, 'the former image');
      failed(await room.stasis(['checkpoint', String(program.pid), '-o', image, '--kill']), 1, /ENOSPC|[Nn]o space/);
      assert.deepEqual(fs.readdirSync(room.path('disk')), ['image'], 'nothing but the former image');
      assert.equal(fs.readFileSync(image, 'utf8'), 'the former image');
      await unharmed(room, program);
    } finally {
      spawnSync('umount', [room.path('disk')]);
    }
  });

  test('the file may not grow so large', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '8');
    const script = `ulimit -f 2048; exec ${commandPath('stasis')} checkpoint ${program.pid} -o ${room.path('image')}`;
    const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 1, stderr);
    assert.match(stderr, /EFBIG|[Ff]ile too large/);
    holdsNoImage(room);
    await unharmed(room, program);
  });

  test('the reader of the pipe goes away', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '8');
    const script = `{ ${commandPath('stasis')} checkpoint ${program.pid} --kill 2>said; echo $? >code; } | head -c 5000 >/dev/null`;
    spawnSync('sh', ['-c', script], { cwd: room.directory, timeout: 60_000 });
    assert.equal(fs.readFileSync(room.path('code'), 'utf8'), '1\n', fs.readFileSync(room.path('said'), 'utf8'));
    assert.match(fs.readFileSync(room.path('said'), 'utf8'), /EPIPE|[Pp]ipe/);
    await unharmed(room, program);
  });

  test('no such directory, or one that may not be written', async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    failed(await room.stasis(['checkpoint', String(program.pid), '-o', room.path('nowhere/image'), '--kill']), 1, /nowhere/);
    failed(await room.stasis(['checkpoint', String(program.pid), '-o', '/proc/image', '--kill']), 1);
    await unharmed(room, program);
  });

  test('the target is killed meanwhile', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '400');
    const result = await room.stasis(['checkpoint', String(program.pid), '--freeze=stop', '-o', room.path('image')], {
      meanwhile: async () => {
        await until('the freeze', () => tracerOf(program.pid) !== 0);
        await sleep(30);
        program.signal('SIGKILL');
      },
    });
    failed(result, 13);
    holdsNoImage(room);
  });

  test('the target execs meanwhile', async () => {
    using room = new Room();
    const program = await begin(room, 'reexec');
    const codes: (number | null)[] = [];
    for (let round = 0; round < 12; round++) {
      const image = room.path(`image.${round}`);
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', image]);
      assert.ok(result.code === 0 || result.code === 13, `${result.code}: ${result.stderr}`);
      assert.equal(fs.existsSync(image), result.code === 0);
      codes.push(result.code);
    }
    assert.ok(codes.includes(0), 'it can be checkpointed between two execs');
    await unharmed(room, program);
  });

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} rolls back`, async () => {
      using room = new Room();
      const program = await begin(room, 'memory', '400');
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), '--kill'], {
        meanwhile: async (child) => {
          await until('the freeze', () => tracerOf(program.pid) !== 0);
          await sleep(20);
          child.kill(signal);
        },
      });
      const code = result.code ?? (result.signal === signal ? 128 + (signal === 'SIGINT' ? 2 : 15) : undefined);
      assert.equal(code, signal === 'SIGINT' ? 130 : 143, result.stderr);
      holdsNoImage(room);
      await unharmed(room, program);
    });
  }

  test("somebody else's process", { skip: user.skip }, async () => {
    using ours = new Room();
    using theirs = new Room({ uid: user.uid });
    const program = await begin(ours, 'spin');
    failed(await theirs.stasis(['checkpoint', String(program.pid), '-o', theirs.path('image')]), 11);
    holdsNoImage(theirs);
    await unharmed(ours, program);
  });

  test('--dry-run writes nothing', async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    const { stdout } = succeeded('dry run', await room.stasis(['checkpoint', String(program.pid), '--dry-run', '--json']));
    assert.equal(JSON.parse(stdout).dryRun, true);
    holdsNoImage(room);
    await unharmed(room, program);
  });
});
