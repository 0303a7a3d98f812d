/** Descriptors whose other end is outside: refused, left out (`--skip-fd`), or replaced by the restart's own (`--inherit`). */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { failed } from './expectations.ts';
import { Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { Program } from './program.ts';

/** A program whose descriptor 7, with its duplicate 9, is a pipe from another program. */
async function begin(room: Room): Promise<Program> {
  const [feeder, program] = [room.program('refused'), room.program('skipped')];
  const script = '"$1" "$2" | { exec 7<&0 0</dev/null; exec "$0" "$2"; }';
  const shell = await room.start(['sh', '-c', script, program, feeder, room.path('go')]);
  const [, pid] = await shell.line(/^ready (\d+)\n/);
  return new Program(room.own(Number(pid)), shell.stdoutPath, shell.stderrPath);
}

/** The command with descriptor 5 open for reading a file with `abcdef` in it. */
function withInput(room: Room, command: readonly string[]): Promise<Program> {
  fs.writeFileSync(room.path('input'), 'abcdef');
  return room.start(['sh', '-c', `exec "$@" 5<"$0"`, room.path('input'), ...command]);
}

suite('descriptors that lead outside', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('a pipe from another program is refused, by both its numbers', async () => {
    using room = new Room();
    const program = await begin(room);
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]);
    failed(result, 10, /fd 7 \(pipe:.*the other end of the pipe is with another program/);
    assert.match(result.stderr, /fd 9 \(pipe:/);
  });

  test('left out, it is closed in the restarted program', async () => {
    using room = new Room();
    const program = await begin(room);
    await room.checkpoint(program, room.path('image'), '--kill', '--skip-fd', '7');
    const { stdout } = succeeded('inspect', await room.stasis(['inspect', room.path('image')]));
    assert.match(stdout, /open-skipped #\d+ pipe:/);
    const again = await room.restart(room.path('image'), program);
    room.go();
    await again.passes();
    assert.match(again.stdout, /^7: -9 \n9: -9 $/m, 'EBADF');
  });

  for (const mode of ['background', 'foreground']) {
    test(`another one in its place, in the ${mode}`, async () => {
      using room = new Room();
      const program = await begin(room);
      await room.checkpoint(program, room.path('image'), '--kill', '--skip-fd', '7,9');
      const stasis = new URL('../bin/stasis', import.meta.url).pathname;
      const flags = mode === 'background' ? ['-d'] : [];
      const command = await withInput(room, [stasis, 'restart', ...flags, '--inherit', 'fd:7=5', room.path('image')]);
      if (mode === 'background') room.own(Number((await command.line(/^(\d+)\n/))[1]));
      room.go();
      await program.line(/^PASS$/m);
      assert.match(program.stdout, /^7: 3 abc\n9: 3 def$/m, 'one open file under both numbers');
    });
  }

  test('a descriptor that the image does not have', async () => {
    using room = new Room();
    const program = await begin(room);
    await room.checkpoint(program, room.path('image'), '--kill', '--skip-fd', '7');
    const stasis = new URL('../bin/stasis', import.meta.url).pathname;
    const command = await withInput(room, [stasis, 'restart', '-d', '--inherit', 'fd:7=5,fd:40=5', room.path('image')]);
    const again = new Program(room.own(Number((await command.line(/^(\d+)\n/))[1])), program.stdoutPath, program.stderrPath);
    assert.equal(fs.readlinkSync(`/proc/${again.pid}/fd/40`), room.path('input'));
    room.go();
    await again.passes();
  });

  test('options that make no sense', async () => {
    using room = new Room();
    failed(await room.stasis(['checkpoint', '1', '-n', '--skip-fd', 'x']), 2);
    failed(await room.stasis(['restart', '--inherit', '7=5', 'image']), 2);
    failed(await room.stasis(['restart', '--inherit', 'fd:7=57', 'image']), 2, /57 is not open/);
  });
});
