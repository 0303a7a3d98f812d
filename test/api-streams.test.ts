/** Images through streams of Node and of the web, and streams that fail. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { PassThrough, Readable, Writable } from 'node:stream';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkpoint, ImageError, restart, StasisError, verify, type SinkLike } from 'stasis';
import { begin, goesOn, seen } from './api-program.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { runningExecutable } from './processes.ts';

const code = (wanted: string, message?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof StasisError, String(error));
  assert.equal(error.code, wanted, error.message);
  if (message !== undefined) assert.match(error.message, message);
  return true;
};

/** Takes a little, then nothing more for ever. */
function stalled(): Writable {
  return new Writable({ write: () => {}, highWaterMark: 1 });
}

suite('images through streams', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('into and out of both kinds', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'memory', '16');
    const image = room.path('image');
    const { bytes } = await checkpoint(handle.pid, fs.createWriteStream(image));
    assert.equal(fs.statSync(image).size, bytes);
    await verify(image);

    const chunks: Uint8Array[] = [];
    const web = new WritableStream<Uint8Array>({ write: (chunk) => void chunks.push(chunk.slice()) });
    await checkpoint(handle.pid, web, { after: 'kill' });
    await handle.wait();
    const whole = Buffer.concat(chunks);
    for (const source of [new Blob([whole]).stream(), Readable.from([whole.subarray(0, 999), whole.subarray(999)])]) {
      const again = await restart(source);
      assert.equal(source instanceof Readable ? source.destroyed : true, true);
      const restarted = seen(room, again, program.stdoutPath);
      assert.ok(restarted.alive);
      again.kill('SIGKILL');
      await again.wait();
    }
    const last = await restart(fs.createReadStream(image));
    room.go();
    assert.deepEqual(await last.wait(), { code: 0, signal: null });
  });

  test('from one process straight into the next, through very little memory', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'memory', '100');
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const before = process.memoryUsage.rss();
    const [, again] = await Promise.all([checkpoint(handle.pid, writable, { after: 'kill' }), restart(readable)]);
    assert.ok(process.memoryUsage.rss() - before < 80 * 2 ** 20, 'the image was gathered');
    seen(room, again, program.stdoutPath);
    await handle.wait();
    const pass = new PassThrough();
    const [, third] = await Promise.all([checkpoint(again.pid, pass, { after: 'kill' }), restart(pass)]);
    const restarted = seen(room, third, program.stdoutPath);
    room.go();
    assert.deepEqual(await third.wait(), { code: 0, signal: null });
    await restarted.passes();
  });

  test('a sink that fails, or closes early: the target runs on, even if it was to be killed', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'steps');
    const failing = (after: number) => {
      let left = after;
      return new Writable({
        write: (chunk: Buffer, _, done) => done((left -= chunk.length) < 0 ? new Error('no more room') : null),
      });
    };
    const closing = new PassThrough();
    closing.once('data', () => closing.destroy());
    const web = new WritableStream<Uint8Array>({ write: () => Promise.reject(new Error('no more room')) });
    const atTheEnd = new Writable({ write: (_chunk, _, done) => done(), final: (done) => done(new Error('no more room')) });
    const sinks: [SinkLike, RegExp][] = [
      [failing(0), /no more room/],
      [failing(100_000), /no more room/],
      [web, /no more room/],
      [atTheEnd, /no more room/],
      [closing, /premature/i],
      [new PassThrough().destroy(), /./],
    ];
    for (const [sink, message] of sinks) {
      await assert.rejects(checkpoint(handle.pid, sink, { after: 'kill' }), code('FAILED', message));
      await goesOn(program);
    }
    await assert.rejects(checkpoint(handle.pid, fs.createWriteStream(room.path('no/such/file'))), code('FAILED', /ENOENT/));
    await goesOn(program);
    const unused = new PassThrough();
    await assert.rejects(checkpoint(999_999_999, unused), code('VANISHED'));
    assert.ok(unused.destroyed);
  });

  test('a sink that stands still can be aborted', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'steps');
    const abort = new AbortController();
    const work = checkpoint(handle.pid, stalled(), { signal: abort.signal });
    await sleep(300);
    abort.abort();
    await assert.rejects(work, code('ABORTED'));
    await goesOn(program);
  });

  test('a source that breaks off, fails, is damaged or says nothing: nothing is left', async () => {
    using room = new Room();
    const { handle } = await begin(room, 'memory', '16');
    const chunks: Buffer[] = [];
    const sink = new PassThrough().on('data', (chunk: Buffer) => chunks.push(chunk));
    await checkpoint(handle.pid, sink, { after: 'kill' });
    await handle.wait();
    const whole = Buffer.concat(chunks);
    const half = whole.subarray(0, whole.length / 2);
    const damaged = Buffer.from(whole);
    damaged.fill(0xaa, 9_000_000, 9_000_100);
    await assert.rejects(restart(Readable.from([half])), ImageError);
    await assert.rejects(restart(Readable.from([damaged])), ImageError);
    await assert.rejects(restart(new Blob([damaged]).stream()), ImageError);
    await assert.rejects(restart(Readable.from([Buffer.from('not an image')])), ImageError);
    await assert.rejects(restart(Readable.from([{}])), code('FAILED', /chunk/));
    await assert.rejects(restart(Readable.from(['text'])), code('FAILED', /chunk/));
    const broken = async function* (): AsyncGenerator<Buffer> {
      yield half;
      throw new Error('the line is dead');
    };
    await assert.rejects(restart(Readable.from(broken())), code('FAILED', /the line is dead/));
    const closing = new PassThrough();
    closing.write(half, () => closing.destroy());
    await assert.rejects(restart(closing), code('FAILED', /premature/i));
    const silent = new PassThrough();
    silent.write(half);
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 200);
    await assert.rejects(restart(silent, { signal: abort.signal }), code('ABORTED'));
    assert.deepEqual(runningExecutable(room.path('memory')), []);
    assert.ok((await restart(Readable.from([whole]), { dryRun: true })).pid === 0);
  });
});
