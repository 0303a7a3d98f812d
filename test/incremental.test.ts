/** Images that hold only what has changed since another one. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import type { Program } from './program.ts';

const sizeOf = (path: string): number => fs.statSync(path).size;

async function begin(room: Room, ...args: string[]): Promise<Program> {
  const program = await room.start([room.program('invariants', ['-pthread']), room.path('go'), ...args]);
  await program.line(/^ready/);
  return program;
}

/** The program ends; from the image it goes on and finds everything as it should be. */
async function restarts(room: Room, program: Program, image: string, ...flags: string[]): Promise<void> {
  fs.rmSync(room.path('go'), { force: true });
  fs.truncateSync(program.stdoutPath, program.stdout.indexOf('\n') + 1);
  const again = await room.restart(image, program, { flags });
  room.go();
  await again.passes();
  await again.gone();
}

suite('incremental images', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('a chain: each holds what changed, restarts from each, and merges into one', async () => {
    using room = new Room();
    const program = await begin(room, '2', '32', 'uncopied');
    const [first, second, third] = ['first', 'second', 'third'].map((name) => room.path(name)) as [string, string, string];
    await room.checkpoint(program, first);
    await room.checkpoint(program, second, '--base', first, '--freeze=fork');
    await room.checkpoint(program, third, '--base', second, '--freeze=stop', '--compress=lz4');
    room.go();
    await program.passes();
    await program.gone();
    for (const image of [first, second, third]) succeeded(`verify ${image}`, await room.stasis(['verify', image]));
    await restarts(room, program, third);
    await restarts(room, program, second, '--lazy');
    succeeded('merge', await room.stasis(['merge', third, '-o', room.path('whole')]));
    for (const image of [first, second, third]) fs.renameSync(image, `${image}.away`);
    succeeded('verify', await room.stasis(['verify', room.path('whole')]));
    await restarts(room, program, room.path('whole'));
  });

  test('what has not changed is not stored again', async () => {
    using room = new Room();
    const program = await room.start([room.program('memory'), room.path('go'), '32']);
    await program.line(/^ready/);
    await room.checkpoint(program, room.path('base'));
    await room.checkpoint(program, room.path('image'), '--base', room.path('base'), '--kill');
    assert.ok(sizeOf(room.path('image')) < 1 << 20, `${sizeOf(room.path('image'))} bytes`);
    await program.gone();
    const again = await room.restart(room.path('image'), program);
    room.go();
    await again.passes();
  });

  test('a base is looked for where it was, beside the image, and in --base-dir; another image is not taken for it', async () => {
    using room = new Room();
    const program = await begin(room, '1', '4');
    const [base, image] = [room.path('base'), room.path('image')];
    await room.checkpoint(program, base);
    await room.checkpoint(program, image, '--base', base);
    await room.checkpoint(program, room.path('foreign'));
    const replaced = await room.stasis(['checkpoint', String(program.pid), '-o', base, '--base', image]);
    assert.equal(replaced.code, 2, 'an image may not replace one that it needs');
    room.go();
    await program.passes();
    await program.gone();

    const refused = async (pattern: RegExp): Promise<void> => {
      for (const flags of [['--dry-run'], ['-d']]) {
        const { code, stderr } = await room.stasis(['restart', ...flags, image]);
        assert.equal(code, 12, stderr);
        assert.match(stderr, pattern);
      }
      assert.equal((await room.stasis(['merge', image, '-o', room.path('whole')])).code, 12);
      assert.ok(!fs.existsSync(room.path('whole')));
    };
    fs.mkdirSync(room.path('elsewhere'));
    fs.renameSync(base, room.path('elsewhere/base'));
    await refused(/does not exist[^]*--base-dir/);
    fs.copyFileSync(room.path('foreign'), base);
    await refused(/is another image, by its digest/);
    fs.rmSync(base);
    await restarts(room, program, image, '--base-dir', room.path('elsewhere'));
    fs.renameSync(image, room.path('elsewhere/image'));
    await restarts(room, program, room.path('elsewhere/image'));
  });

  test('a damaged base is found out', async () => {
    using room = new Room();
    const program = await begin(room, '1', '4');
    await room.checkpoint(program, room.path('base'));
    await room.checkpoint(program, room.path('image'), '--base', room.path('base'));
    room.go();
    await program.passes();
    const bytes = fs.readFileSync(room.path('base'));
    // In the middle of the data of pages: the structure stays sound, so only reading the pages can tell.
    for (let at = bytes.length >> 1; at < bytes.length - 100_000; at += 4096) bytes[at] = (bytes[at] ?? 0) ^ 1;
    fs.writeFileSync(room.path('base'), bytes);
    const { code, stderr } = await room.stasis(['restart', '-d', room.path('image')]);
    assert.equal(code, 12, stderr);
    assert.match(stderr, /checksum/);
  });
});
