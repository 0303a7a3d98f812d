/** One engine has several processes in its hands at once: their memory passes through it side by side. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkpoint, restart } from '../src/index.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';

suite('at the same time', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('four processes are saved and restarted, and find their memory as it was', async () => {
    using room = new Room();
    const sizes = [150, 200, 250, 300];
    const programs = await Promise.all(sizes.map((size) => room.start([room.program('memory'), room.path('go'), String(size)])));
    for (const program of programs) await program.line(/^ready/);
    const images = sizes.map((size) => room.path(`image.${size}`));
    const saved = await Promise.all(programs.map(({ pid }, index) => checkpoint(pid, images[index], { after: 'kill' })));
    saved.forEach(({ stats }, index) =>
      assert.ok(stats.pages >= sizes[index]! * 256, `${stats.pages} pages of ${sizes[index]} MiB`),
    );
    for (const program of programs) await program.gone();
    const restarted = await Promise.all(images.map((image) => restart(image)));
    for (const { pid } of restarted) room.own(pid);
    room.go();
    for (const program of programs) await program.line(/^PASS$/m);
  });
});
