/** What goes wrong: a clear error, its documented exit code, the target unharmed, nothing under the final name. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { crc32 } from 'node:zlib';
import { encodePreamble } from '../src/image/framing.ts';
import { checkout, commandPath, Room, succeeded, until, type Finished, type Program } from './harness.ts';
import { lacks } from './needs.ts';
import { identify, kill, mentioning, ordinaryUser, runningExecutable, tracerOf } from './processes.ts';

async function begin(room: Room, name: string, ...args: string[]): Promise<Program> {
  const program = await room.start([room.program(name), room.path('go'), ...args]);
  await program.line(/^ready/);
  return program;
}

function failed(result: Finished, code: number, message?: RegExp): void {
  assert.equal(result.code, code, `exit code ${result.code ?? result.signal}, must be ${code}: ${result.stderr}${result.stdout.slice(0, 500)}`);
  assert.match(result.stderr, message ?? /\S/);
  assert.doesNotMatch(result.stderr, /at .*\(?(?:file:|\/).*:\d+:\d+/, 'no stack trace');
}

/** Nothing but what the test put there; in particular no image, whole or not. */
function holdsNoImage(room: Room): void {
  assert.deepEqual(fs.readdirSync(room.directory).filter((name) => name.includes('image')), []);
}

async function unharmed(room: Room, program: Program): Promise<void> {
  assert.equal(tracerOf(program.pid), 0, 'nobody traces it');
  room.go();
  await program.passes();
}

const user = ordinaryUser(checkout);

suite('a checkpoint that fails', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('no such process', async () => {
    using room = new Room();
    failed(await room.stasis(['checkpoint', '4194304', '-o', room.path('image')]), 13, /4194304/);
    holdsNoImage(room);
  });

  test('a command line that makes no sense', async () => {
    using room = new Room();
    for (const args of [['checkpoint'], ['checkpoint', 'x'], ['checkpoint', '1', '--no-such'], ['restart', 'a', 'b'], ['nonsense'], ['checkpoint', '1', '--kill', '--leave-stopped']]) {
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
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')], {
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

/** What one task's checkpoint refuses, and how the list may call it. */
const refusals: Record<string, RegExp> = {
  thread: /thread/,
  child: /child/,
  zombie: /child|zombie/,
  eventfd: /eventfd/,
  epoll: /epoll/,
  timerfd: /timerfd/,
  signalfd: /signalfd/,
  inotify: /inotify/,
  memfd: /memfd/,
  pipe: /pipe/,
  socketpair: /socket/,
  socket: /socket/,
  pidfd: /pidfd|pid/,
  itimer: /timer/,
  timer: /timer/,
  pending: /signal|pending/,
  'shared-memory': /shared|zero/,
  'sysv-memory': /SYSV|shared/i,
  'deleted-file': /deleted|gone|removed|unlinked/,
  'deleted-mapping': /deleted|gone|removed|unlinked/,
  flock: /lock/,
  'posix-lock': /lock/,
  lease: /lease|lock/,
  seccomp: /seccomp/,
  namespace: /namespace|uts/,
  aio: /aio/,
};

suite('what cannot be carried', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const [kind, pattern] of Object.entries(refusals)) {
    const needsRoot = kind === 'namespace' && process.getuid?.() !== 0;
    test(`${kind} is refused by name`, { skip: needsRoot && 'needs root, to enter a namespace' }, async () => {
      using room = new Room();
      const program = await begin(room, 'refused', kind);
      for (const pid of mentioning(room.path('refused'))) if (pid !== program.pid) room.own(pid);
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), '--kill', '--json']);
      assert.equal(result.code, 10, `exit code ${result.code}: ${result.stderr}${result.stdout.slice(0, 2000)}`);
      const { blockers } = JSON.parse(result.stdout).error;
      assert.ok(blockers.length >= 1);
      for (const blocker of blockers) assert.deepEqual(Object.values(blocker).map((field) => typeof field), Object.keys(blocker).map(() => 'string'));
      assert.match(JSON.stringify(blockers), pattern);
      for (const { reason, remedy } of blockers) assert.ok(reason !== '' && remedy !== '', 'every refusal says why and what to do');
      holdsNoImage(room);
      await unharmed(room, program);
    });
  }

  test('everything in one list', async () => {
    using room = new Room();
    const kinds = ['thread', 'eventfd', 'epoll', 'timer', 'pending', 'shared-memory', 'deleted-file'];
    const program = await begin(room, 'refused', ...kinds);
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]);
    failed(result, 10);
    for (const kind of kinds) assert.match(result.stderr, refusals[kind] ?? /never/, kind);
    await unharmed(room, program);
  });

  test('a process that is traced already', { skip: !fs.existsSync('/usr/bin/strace') && 'needs strace' }, async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    const strace = await room.start(['strace', '-o', '/dev/null', '-p', String(program.pid)]);
    await until('strace', () => tracerOf(program.pid) !== 0);
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]);
    assert.ok(result.code === 10 || result.code === 11, `${result.code} ${result.stderr}`);
    assert.match(result.stderr, /trace/);
    strace.signal('SIGTERM');
    await strace.gone();
    await unharmed(room, program);
  });
});

suite('a restart that fails', { skip: lacks('gcc', 'libc6-dev') }, () => {
  /** An image of `memory`, and its program dead. */
  async function image(room: Room, mib = '2'): Promise<{ path: string; bytes: Buffer; executable: string }> {
    const program = await begin(room, 'memory', mib);
    await room.checkpoint(program, room.path('whole'), '--kill');
    await program.gone();
    return { path: room.path('whole'), bytes: fs.readFileSync(room.path('whole')), executable: room.path('memory') };
  }

  async function refuses(room: Room, bytes: Buffer, executable: string, what: string, message?: RegExp): Promise<void> {
    const path = room.path('broken');
    fs.writeFileSync(path, bytes);
    for (const args of [['verify', path], ['restart', '--dry-run', path], ['restart', '-d', path]]) {
      const result = await room.stasis(args);
      assert.equal(result.code, 12, `${what}, ${args[0]}: exit code ${result.code}, ${result.stderr}`);
      if (message) assert.match(result.stderr, message, what);
    }
    assert.deepEqual(runningExecutable(executable), [], `${what}: nothing runs`);
  }

  test('not an image, an empty one, one that does not exist', async () => {
    using room = new Room();
    fs.writeFileSync(room.path('text'), 'hello, world!\n'.repeat(1000));
    fs.writeFileSync(room.path('empty'), '');
    for (const name of ['text', 'empty']) {
      for (const verb of ['restart', 'verify', 'inspect']) failed(await room.stasis([verb, room.path(name)]), 12);
    }
    failed(await room.stasis(['restart', room.path('absent')]), 1, /absent/);
  });

  test('truncated, anywhere', async () => {
    using room = new Room();
    const { bytes, executable } = await image(room);
    for (const length of [1, 15, 16, 100, 5000, bytes.length >> 1, bytes.length - 1]) {
      await refuses(room, bytes.subarray(0, length), executable, `${length} of ${bytes.length} bytes`);
    }
  });

  test('damaged, anywhere', async () => {
    using room = new Room();
    const { bytes, executable } = await image(room);
    for (let round = 0; round < 8; round++) {
      const broken = Buffer.from(bytes);
      let at = Math.floor(Math.random() * bytes.length);
      while (bytes[at] === 0) at = (at + 1) % bytes.length; // padding is zero, and need not be checked
      broken[at] = (broken[at] ?? 0) ^ 0x40;
      await refuses(room, broken, executable, `byte ${at} of ${bytes.length}`);
    }
  });

  test('of a newer revision', async () => {
    using room = new Room();
    const { bytes, executable } = await image(room);
    await refuses(room, Buffer.concat([encodePreamble(2), bytes.subarray(16)]), executable, 'revision 2', /revision 2/);
  });

  test('of another architecture', async () => {
    using room = new Room();
    const { bytes, executable } = await image(room);
    const broken = Buffer.from(bytes);
    const payload = 16 + 32;
    const length = broken.readUInt32LE(16 + 8);
    const at = broken.indexOf('x86_64', payload);
    assert.ok(at > 0 && at < payload + length, 'the head names the architecture');
    broken.write('s390_x', at);
    broken.writeUInt32LE(crc32(broken.subarray(payload, payload + length)), 16 + 16);
    broken.writeUInt32LE(crc32(broken.subarray(16, 16 + 28)), 16 + 28);
    fs.writeFileSync(room.path('broken'), broken);
    const result = await room.stasis(['restart', '-d', room.path('broken')]);
    failed(result, 12, /s390_x/);
    assert.deepEqual(runningExecutable(executable), []);
    const { stdout } = await room.stasis(['inspect', room.path('broken')]);
    assert.match(stdout, /s390_x/, 'inspect reads it all the same');
  });

  test('a stream that breaks off', async () => {
    using room = new Room();
    const { path, executable } = await image(room, '8');
    const script = `head -c 3000000 '${path}' | ${commandPath('rstr')}`;
    const { status, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 12, stderr);
    assert.deepEqual(runningExecutable(executable), []);
  });

  test('a file that is gone, shorter, or another one', async () => {
    using room = new Room();
    const program = await room.start([room.program('files'), room.path('go'), room.directory]);
    await program.line(/^ready/);
    await room.checkpoint(program, room.path('whole'), '--kill');
    const file = room.path('opened/append');
    fs.renameSync(file, room.path('aside'));
    const gone = await room.stasis(['restart', '-d', room.path('whole')]);
    assert.ok([1, 10, 12, 14].includes(gone.code ?? -1), `${gone.code} ${gone.stderr}`);
    assert.match(gone.stderr, /opened\/append/);
    fs.writeFileSync(file, 'abc');
    const shorter = await room.stasis(['restart', '-d', room.path('whole')]);
    assert.ok([1, 10, 12, 14].includes(shorter.code ?? -1), `${shorter.code} ${shorter.stderr}`);
    assert.match(shorter.stderr, /opened\/append/);
    assert.deepEqual(runningExecutable(room.path('files')), []);
    fs.renameSync(room.path('aside'), file);
    const again = await room.restart(room.path('whole'), program);
    room.go();
    await again.passes();
  });

  test('a mapped file that changed, unless that is accepted', async () => {
    using room = new Room();
    const program = await room.start([room.program('mappings'), room.path('go'), room.directory]);
    await program.line(/^ready/);
    await room.checkpoint(program, room.path('whole'), '--kill');
    const now = new Date(Date.now() + 5000);
    fs.utimesSync(room.path('private'), now, now);
    const changed = await room.stasis(['restart', '-d', room.path('whole')]);
    assert.ok([1, 10, 12, 14].includes(changed.code ?? -1), `${changed.code} ${changed.stderr}`);
    assert.match(changed.stderr, /private/);
    assert.deepEqual(runningExecutable(room.path('mappings')), []);
    const again = await room.restart(room.path('whole'), program, { flags: ['--accept-changed-files'] });
    room.go();
    await again.passes();
  });

  test('SIGINT in the middle leaves nothing', async () => {
    using room = new Room();
    const { path, executable } = await image(room, '400');
    const result = await room.stasis(['restart', '-d', path], {
      meanwhile: async (child) => {
        await until('the new process', () => runningExecutable(executable).length > 0);
        child.kill('SIGINT');
      },
    });
    assert.ok(result.code === 130 || result.signal === 'SIGINT' || result.code === 0, `${result.code} ${result.stderr}`);
    if (result.code === 0) kill(identify(Number(result.stdout)), 'SIGKILL'); // it was faster
    await until('nothing is left', () => runningExecutable(executable).length === 0);
  });
});

suite('one pass, any descriptor', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('checkpoint | restart through a pipe', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '16');
    const script = `${commandPath('ckpt')} ${program.pid} --kill | cat | ${commandPath('stasis')} restart -d`;
    const { status, stdout, stderr } = spawnSync('sh', ['-c', script], { encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, stderr);
    const again = room.own(Number(stdout));
    await program.gone();
    room.go();
    await until('PASS', () => /^PASS$/m.test(program.stdout), { describe: () => `${JSON.stringify(again)} ${program.describe()}` });
  });

  test('ckpt PID > out, verify, inspect, rstr < out', async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    succeeded('ckpt', await room.command('ckpt', [String(program.pid)], { stdout: room.path('out') }));
    succeeded('verify', await room.stasis(['verify', room.path('out')]));
    const { stdout } = succeeded('inspect', await room.stasis(['inspect', '--json', room.path('out')]));
    assert.equal(JSON.parse(stdout).ok, true);
    assert.match(succeeded('inspect', await room.stasis(['inspect', room.path('out')])).stdout, /spin/);
    await unharmed(room, program);
  });
});
