/** Files that change between checkpoint and restart, and directories that are not there: what is accepted, what is refused. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { failed } from './expectations.ts';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { comm, ordinaryUser } from './processes.ts';
import type { Program } from './program.ts';
import { until } from './program.ts';

/** A program that appends to `log` and has read "0123" of `input`, which holds "0123456789"; killed, with its image. */
async function reader(room: Room, modified?: number): Promise<{ program: Program; image: string; log: string; input: string }> {
  const [image, log, input] = [room.path('image'), room.path('log'), room.path('input')];
  fs.writeFileSync(input, '0123456789');
  if (modified !== undefined) fs.utimesSync(input, modified, modified);
  const program = await room.start([room.program('reader'), room.path('go'), log, input]);
  await program.line(/^ready/);
  await room.checkpoint(program, image, '--kill');
  await program.gone();
  return { program, image, log, input };
}

function replace(path: string, content: string): void {
  fs.writeFileSync(`${path}.new`, content);
  fs.renameSync(`${path}.new`, path);
}

async function goesOn(room: Room, image: string, program: Program, flags: string[] = []): Promise<string> {
  const again = await room.restart(image, program, { flags });
  room.go();
  await again.passes();
  return again.stdout;
}

suite('files that changed since the checkpoint', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('a log and an input that grew', async () => {
    using room = new Room();
    const { program, image, log, input } = await reader(room);
    fs.appendFileSync(log, 'other\n');
    fs.appendFileSync(input, 'abc');
    assert.match(await goesOn(room, image, program), /rest '456789abc'/);
    assert.equal(fs.readFileSync(log, 'utf8'), 'one\nother\ntwo\n');
  });

  test('a log that was rotated', async () => {
    using room = new Room();
    const { program, image, log } = await reader(room);
    fs.renameSync(log, `${log}.1`);
    fs.writeFileSync(log, '');
    const shorter = await room.stasis(['restart', '-d', image]);
    assert.equal(shorter.code, 14);
    assert.match(shorter.stderr, /shorter.*--accept-changed-files/s);
    await goesOn(room, image, program, ['--accept-changed-files']);
    assert.equal(fs.readFileSync(log, 'utf8'), 'two\n');
  });

  test('a log that was rotated and has grown since', async () => {
    using room = new Room();
    const { program, image, log } = await reader(room);
    fs.renameSync(log, `${log}.1`);
    fs.writeFileSync(log, 'others\n');
    await goesOn(room, image, program);
    assert.equal(fs.readFileSync(log, 'utf8'), 'others\ntwo\n');
  });

  test('an input that was written in place', async () => {
    using room = new Room();
    const { program, image, input } = await reader(room);
    fs.writeFileSync(input, 'ABCDEFGHIJ', { flag: 'r+' });
    assert.match(await goesOn(room, image, program), /rest 'EFGHIJ'/);
  });

  test('an input that was replaced is refused, or accepted on request', async () => {
    using room = new Room();
    const { program, image, input } = await reader(room);
    replace(input, 'ABCDEFGHIJ');
    failed(await room.stasis(['restart', '-d', image]), 14, /input: another file has this path now\n.*--accept-changed-files/);
    assert.match(await goesOn(room, image, program, ['--accept-changed-files']), /rest 'EFGHIJ'/);
  });

  test('a copy with the same time is as good', async () => {
    using room = new Room();
    const { program, image, input } = await reader(room, 1_000_000_000);
    const before = fs.statSync(input).ino;
    replace(input, '0123456789');
    fs.utimesSync(input, 1_000_000_000, 1_000_000_000);
    assert.notEqual(fs.statSync(input).ino, before);
    assert.match(await goesOn(room, image, program), /rest '456789'/);
  });

  test('an input that is too short, or gone, is refused', async () => {
    using room = new Room();
    const { image, input } = await reader(room);
    fs.truncateSync(input, 3);
    failed(await room.stasis(['restart', '-d', image]), 14, /input: it is shorter than the position 4/);
    fs.rmSync(input);
    failed(await room.stasis(['restart', '-d', image]), 14, /input: it does not exist here/);
  });
});

suite('programs whose files were replaced while they ran', { skip: lacks('gcc', 'libc6-dev') }, () => {
  const user = ordinaryUser(checkout);
  for (const { caller, uid, skip } of [
    { caller: 'this user', uid: undefined, skip: false as const },
    { caller: 'an ordinary user', ...user },
  ]) {
    test(`the program file, as ${caller}`, { skip }, async () => {
      using room = new Room({ uid });
      const path = room.program('spin');
      const program = await room.start([path, room.path('go')]);
      await program.line(/^ready/);
      fs.rmSync(path);
      fs.writeFileSync(path, 'a newer version');
      await room.checkpoint(program, room.path('image'), '--kill');
      const again = await room.restart(room.path('image'), program);
      assert.match(fs.readlinkSync(`/proc/${again.pid}/exe`), /deleted/);
      assert.equal(comm(again.pid), 'spin');
      // and once more, from what came back
      await room.checkpoint(again, room.path('image.2'), '--kill');
      const third = await room.restart(room.path('image.2'), again);
      room.go();
      await third.passes();
    });
  }

  test(
    'a library',
    { skip: process.getuid?.() !== 0 && 'needs root: CAP_CHECKPOINT_RESTORE opens what a mapping shows' },
    async () => {
      using room = new Room();
      const library = room.path('libc.so.6');
      fs.copyFileSync('/lib/x86_64-linux-gnu/libc.so.6', library);
      const env = { LD_LIBRARY_PATH: room.directory };
      const program = await room.start([room.program('spin'), room.path('go')], { env });
      await program.line(/^ready/);
      assert.match(fs.readFileSync(`/proc/${program.pid}/maps`, 'utf8'), new RegExp(library));
      fs.rmSync(library);
      await room.checkpoint(program, room.path('image'), '--kill');
      const again = await room.restart(room.path('image'), program);
      room.go();
      await again.passes();
    },
  );
});

suite('locks, directories', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const [kind, file, lock] of [
    ['flock', 'shared', 'import fcntl,sys\nf=open(sys.argv[1],"r+");fcntl.flock(f,fcntl.LOCK_EX)'],
    ['fcntl', 'posix', 'import fcntl,sys\nf=open(sys.argv[1],"r+");fcntl.lockf(f,fcntl.LOCK_EX,5,12)'],
  ] as const) {
    test(`a ${kind} lock that somebody else holds now is refused`, { skip: lacks('python3') }, async () => {
      using room = new Room();
      const program = await room.start([room.program('locks'), room.path('go'), room.directory]);
      await program.line(/^ready/);
      await room.checkpoint(program, room.path('image'), '--kill');
      await program.gone();
      const script = `${lock}\nprint("locked",flush=True)\nsys.stdin.read()`;
      const holder = spawn('/usr/bin/python3', ['-c', script, room.path(file)], { stdio: ['pipe', 'pipe', 'inherit'] });
      let said = '';
      holder.stdout.on('data', (data: Buffer) => (said += data.toString()));
      try {
        await until('the other lock', () => said.includes('locked'));
        const restart = await room.stasis(['restart', '-d', room.path('image')]);
        failed(restart, 14, new RegExp(`process ${holder.pid} has locked the file`));
      } finally {
        holder.kill('SIGKILL');
      }
      const again = await room.restart(room.path('image'), program);
      room.go();
      await again.passes();
    });
  }

  test('a working directory that was deleted', async () => {
    using room = new Room();
    const inner = room.path('inner');
    fs.mkdirSync(inner);
    const program = await room.start([room.program('spin'), room.path('go')], { cwd: inner });
    await program.line(/^ready/);
    fs.rmdirSync(inner);
    await room.checkpoint(program, room.path('image'), '--kill');
    const again = await room.restart(room.path('image'), program);
    assert.match(fs.readlinkSync(`/proc/${again.pid}/cwd`), / \(deleted\)$/);
    assert.deepEqual(
      fs.readdirSync(room.directory).filter((name) => name.startsWith('.stasis')),
      [],
    );
    room.go();
    await again.passes();
  });

  test('another root directory', { skip: process.getuid?.() !== 0 && 'needs root, for chroot' }, async () => {
    using room = new Room();
    const jail = room.path('jail');
    fs.mkdirSync(jail);
    fs.copyFileSync(room.program('spin', ['-static'], 'static'), `${jail}/static`);
    fs.chmodSync(`${jail}/static`, 0o755);
    const program = await room.start(['chroot', jail, '/static', '/go']);
    await program.line(/^ready/);
    await room.checkpoint(program, room.path('image'), '--kill');
    const again = await room.restart(room.path('image'), program);
    assert.equal(fs.readlinkSync(`/proc/${again.pid}/root`), jail);
    assert.equal(fs.readlinkSync(`/proc/${again.pid}/cwd`), jail);
    fs.writeFileSync(`${jail}/go`, '');
    await again.passes();
  });
});
