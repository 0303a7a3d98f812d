/** --carry: files whose content is in the image, and that a restart rolls back. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { failed } from './expectations.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { ordinaryUser } from './processes.ts';
import { checkout } from './harness.ts';
import type { Program } from './program.ts';

/** Everything below a directory that can be told apart: type, mode, time, content. */
function snapshot(directory: string): Record<string, string> {
  const all: Record<string, string> = {};
  for (const name of fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }).toSorted()) {
    const path = join(directory, name);
    const stat = fs.lstatSync(path, { bigint: true });
    const content = stat.isFile() ? fs.readFileSync(path, 'latin1') : stat.isSymbolicLink() ? fs.readlinkSync(path) : '';
    const time = stat.isSymbolicLink() ? '' : stat.mtimeNs;
    all[name] = `${stat.mode.toString(8)} ${time} ${content}`;
  }
  return all;
}

/** A program with `work/input` half read, in a directory with files of many kinds. */
async function begin(room: Room): Promise<{ program: Program; work: string; image: string; log: string }> {
  const work = room.path('work');
  fs.mkdirSync(join(work, 'inner/deep'), { recursive: true });
  fs.writeFileSync(join(work, 'input'), '0123456789');
  fs.writeFileSync(join(work, 'secret'), 'mine', { mode: 0o600 });
  fs.writeFileSync(join(work, 'inner/big'), Buffer.alloc(5_000_000, 'a long text; '));
  fs.writeFileSync(join(work, 'inner/deep/empty'), '');
  fs.symlinkSync('../input', join(work, 'inner/link'));
  fs.utimesSync(join(work, 'secret'), 1_000_000_000, 1_000_000_000.5);
  if (room.uid !== undefined)
    for (const name of ['', ...fs.readdirSync(work, { recursive: true, encoding: 'utf8' })])
      fs.lchownSync(join(work, name), room.uid, room.uid);
  const log = room.path('log');
  const program = await room.start([room.program('reader'), room.path('go'), log, join(work, 'input')]);
  await program.line(/^ready/);
  return { program, work, image: room.path('image'), log };
}

function spoil(work: string, uid?: number): void {
  fs.writeFileSync(join(work, 'secret'), 'theirs, and longer');
  fs.chmodSync(join(work, 'secret'), 0o644);
  fs.writeFileSync(join(work, 'input.new'), 'ABCDEFGHIJ');
  fs.renameSync(join(work, 'input.new'), join(work, 'input'));
  fs.rmSync(join(work, 'inner'), { recursive: true });
  fs.symlinkSync('/etc', join(work, 'inner'));
  fs.mkdirSync(join(work, 'added/more'), { recursive: true });
  fs.writeFileSync(join(work, 'added/more/file'), 'x');
  for (const name of ['input', 'secret', 'inner', 'added', 'added/more', 'added/more/file'])
    if (uid !== undefined) fs.lchownSync(join(work, name), uid, uid);
}

const user = ordinaryUser(checkout);
for (const { caller, uid, skip } of [
  { caller: 'this user', uid: undefined, skip: false as const },
  { caller: 'an ordinary user', ...user },
]) {
  suite(`files in the image, as ${caller}`, { skip: lacks('gcc', 'libc6-dev') || skip }, () => {
    test('a directory is rolled back with all that is in it', async () => {
      using room = new Room({ uid });
      const { program, work, image } = await begin(room);
      const before = snapshot(work);
      await room.checkpoint(program, image, '--kill', '--carry', work);
      await program.gone();
      spoil(work, uid);
      const again = await room.restart(image, program);
      assert.deepEqual(snapshot(work), before);
      room.go();
      await again.passes();
      assert.match(again.stdout, /rest '456789'/);
    });
  });
}

suite('files in the image', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('a pattern brings what it matches, and nothing else is touched', async () => {
    using room = new Room();
    const { program, work, image } = await begin(room);
    await room.stasis(
      ['checkpoint', String(program.pid), '-o', image, '--kill', '--carry', 'work/**/s*', '--carry', 'work/inp?t'],
      {
        cwd: room.directory,
      },
    );
    await program.gone();
    spoil(work);
    const again = await room.restart(image, program);
    assert.equal(fs.readFileSync(join(work, 'secret'), 'utf8'), 'mine');
    assert.equal(fs.statSync(join(work, 'secret')).mode & 0o777, 0o600);
    assert.equal(fs.readFileSync(join(work, 'input'), 'utf8'), '0123456789');
    assert.ok(fs.existsSync(join(work, 'added/more/file')) && fs.lstatSync(join(work, 'inner')).isSymbolicLink());
    room.go();
    await again.passes();
  });

  test('an image in the carried directory stays; a process that goes on is not disturbed', async () => {
    using room = new Room();
    const { program, work } = await begin(room);
    const image = join(work, 'image');
    await room.checkpoint(program, image, '--carry', work);
    await room.checkpoint(program, image, '--kill', '--carry', `${work}/**`);
    await program.gone();
    fs.rmSync(join(work, 'secret'));
    const again = await room.restart(image, program);
    assert.ok(fs.existsSync(image) && fs.existsSync(join(work, 'secret')));
    room.go();
    await again.passes();
  });

  test('a restart that fails touches no file', async () => {
    using room = new Room();
    const { program, work, image } = await begin(room);
    await room.checkpoint(program, image, '--kill', '--carry', work);
    await program.gone();
    spoil(work);
    const names = fs.readdirSync(work);
    fs.truncateSync(image, fs.statSync(image).size - 100);
    failed(await room.stasis(['restart', '-d', image]), 12);
    assert.deepEqual(fs.readdirSync(work), names);
    assert.ok(fs.lstatSync(join(work, 'inner')).isSymbolicLink());
    assert.equal(fs.readFileSync(join(work, 'secret'), 'utf8'), 'theirs, and longer');
    assert.equal(fs.readFileSync(join(work, 'input'), 'utf8'), 'ABCDEFGHIJ');
  });

  test('what is not there is refused, and the process goes on', async () => {
    using room = new Room();
    const { program, image } = await begin(room);
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', image, '--carry', `${room.directory}/*.none`]);
    failed(result, 10, /\*\.none\): no file has such a path/);
    room.go();
    await program.passes();
  });
});
