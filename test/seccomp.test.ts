/** Seccomp filters and who may do what with them. test/programs/seccomp.c forbids nearly all that a checkpoint calls. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { begin, failed, unharmed } from './expectations.ts';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { ordinaryUser } from './processes.ts';

const { uid, skip } = ordinaryUser(checkout);

suite('seccomp', { skip: lacks('gcc', 'libc6-dev') || skip }, () => {
  test('who may not read the filters makes no call under them', async () => {
    using room = new Room({ uid });
    const program = await begin(room, 'seccomp', 'nnp');
    failed(await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]), 10, /seccomp.*CAP_SYS_ADMIN/s);
    await unharmed(room, program);
  });

  test('an ordinary user restarts what root has checkpointed, under all its filters', async () => {
    using room = new Room({ uid });
    const program = await begin(room, 'seccomp', 'nnp');
    using root = new Room();
    await root.checkpoint(program, root.path('image'), '--kill');
    await program.gone();
    fs.copyFileSync(root.path('image'), room.path('image'));
    fs.chownSync(room.path('image'), uid ?? 0, uid ?? 0);
    const again = await room.restart(room.path('image'), program);
    room.go();
    await again.passes();
  });

  test('a program whose calls are dispatched to itself at the moment is refused, and nothing is called in it', async () => {
    using room = new Room();
    const program = await begin(room, 'dispatch', 'blocked');
    failed(await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]), 10, /syscall user dispatch/);
    await unharmed(room, program);
  });

  test('under stasis run: its own filter is there once', async () => {
    using room = new Room();
    const command = [`${checkout}/bin/stasis`, 'run', '--', room.program('seccomp'), room.path('go'), 'nnp'];
    const program = await room.start(command);
    await program.line(/^ready/);
    await room.checkpoint(program, room.path('image.1'), '--kill');
    const again = await room.restart(room.path('image.1'), program);
    await room.checkpoint(again, room.path('image.2'), '--kill');
    const third = await room.restart(room.path('image.2'), program);
    assert.match(fs.readFileSync(`/proc/${third.pid}/status`, 'utf8'), /^Seccomp_filters:\t4$/m);
    room.go();
    await third.passes();
  });
});
