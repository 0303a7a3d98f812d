/** The API: one question each to checkpoint, restart, run, inspect, verify and doctor. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { suite, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import {
  CannotCarryError,
  checkpoint,
  doctor,
  ImageError,
  inspect,
  render,
  restart,
  run,
  StasisError,
  verify,
  type Progress,
} from 'stasis';
import { begin, goesOn, seen } from './api-program.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { comm } from './processes.ts';

const code = (wanted: string) => (error: unknown) => {
  assert.ok(error instanceof StasisError, String(error));
  assert.equal(error.code, wanted, error.message);
  return true;
};

suite('the API', { skip: lacks('gcc', 'libc6-dev') }, () => {
  test('checkpoint, end, restart, wait', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'memory', '8');
    const image = room.path('image');
    const result = await checkpoint(handle.pid, image, { after: 'kill' });
    assert.deepEqual(await handle.wait(), { code: null, signal: 'SIGKILL' });
    assert.equal(handle.alive, false);
    assert.equal(result.pid, handle.pid);
    assert.equal(result.path, image);
    assert.equal(result.bytes, fs.statSync(image).size);
    assert.ok(result.id > 0 && /^[0-9a-f]{64}$/.test(result.digest) && result.carried.includes('task'));
    assert.ok(result.stats.freezeMs > 0 && result.stats.totalMs >= result.stats.freezeMs);

    assert.equal((await restart(image, { dryRun: true })).pid, 0);
    const again = await restart(pathToFileURL(image));
    const restarted = seen(room, again, program.stdoutPath);
    assert.ok(again.alive && again.stats.pages > 2000);
    assert.deepEqual(again.notes, []);
    assert.equal(comm(again.pid), 'memory');
    room.go();
    assert.deepEqual(await again.wait(), { code: 0, signal: null });
    await restarted.passes();
  });

  test('inspect, render and verify, from each kind of source', async () => {
    using room = new Room();
    const { handle } = await begin(room, 'spin');
    const image = room.path('image');
    const { digest } = await checkpoint(handle.pid, { path: image });
    const sources = [
      () => image,
      () => ({ path: image }),
      () => pathToFileURL(image),
      () => fs.createReadStream(image),
      () => new Blob([fs.readFileSync(image)]).stream(),
    ];
    for (const source of sources) {
      assert.equal((await verify(source())).digest, digest);
      assert.match(render(await inspect(source())), /spin/);
    }
    const file = await fs.promises.open(image);
    assert.equal((await verify(file)).digest, digest);
    await file.close();
    await assert.rejects(verify(fs.createReadStream(image, { end: 5000 })), ImageError);
    await assert.rejects(verify(fs.createReadStream(room.path('absent'))), code('SYSCALL'));
    await assert.rejects(verify(room.path('absent')), code('SYSCALL'));
    await assert.rejects(inspect(room.path('absent')), code('SYSCALL'));
    await assert.rejects(verify(image, { signal: AbortSignal.abort() }), code('ABORTED'));
    await assert.rejects(verify(new URL('http://localhost/image')), code('USAGE'));
  });

  test('a descriptor is written from where it stands', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'steps');
    const path = room.path('two');
    const out = fs.openSync(path, 'w+');
    fs.writeSync(out, 'before');
    const { bytes } = await checkpoint(handle.pid, { fd: out }, { after: 'kill' });
    fs.writeSync(out, 'after');
    fs.closeSync(out);
    assert.equal(fs.statSync(path).size, bytes + 'before'.length + 'after'.length);
    const from = fs.openSync(path, 'r');
    fs.readSync(from, Buffer.alloc(6));
    await program.gone();
    const again = await restart({ fd: from });
    await goesOn(seen(room, again, program.stdoutPath));
    const rest = Buffer.alloc(100);
    assert.equal(rest.toString('utf8', 0, fs.readSync(from, rest)), 'after');
    fs.closeSync(from);
  });

  test('errors are typed, and the target runs on', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'steps');
    const image = room.path('image');
    await assert.rejects(checkpoint(999_999_999, image), code('VANISHED'));
    await assert.rejects(checkpoint(0, image), code('USAGE'));
    await assert.rejects(checkpoint(handle.pid), code('USAGE'));
    await assert.rejects(checkpoint(handle.pid, room.path('no/such/directory')), code('SYSCALL'));
    await assert.rejects(checkpoint(process.pid, image), (error) => {
      assert.ok(error instanceof CannotCarryError, String(error));
      assert.ok(
        error.blockers.some(({ reason }) => reason.includes('one of the processes below')),
        error.message,
      );
      return true;
    });
    assert.equal(fs.existsSync(image), false);
    await checkpoint(handle.pid, undefined, { dryRun: true });
    await checkpoint(handle.pid, image);
    fs.truncateSync(image, fs.statSync(image).size - 100);
    await assert.rejects(restart(image), ImageError);
    await assert.rejects(restart(room.path('absent')), code('SYSCALL'));
    await assert.rejects(restart(image, { streams: { output: { path: room.path('no/such/file') } } }), code('SYSCALL'));
    await goesOn(program);
  });

  test('progress, and an abort in the middle', async () => {
    using room = new Room();
    const { handle } = await begin(room, 'memory', '200');
    const image = room.path('image');
    const seen: Progress[] = [];
    await checkpoint(handle.pid, image, { onProgress: (progress) => void seen.push(progress) });
    assert.deepEqual([...new Set(seen.map(({ phase }) => phase))], ['prepare', 'freeze', 'memory']);
    const bytes = seen.flatMap((progress) => progress.bytes ?? []);
    assert.ok(bytes.length > 1 && bytes.every((count, index) => index === 0 || count > (bytes[index - 1] ?? 0)));
    assert.ok(seen.every(({ total }) => total === undefined || total > 200 * 2 ** 20));

    const aborted = room.path('aborted');
    const work = (path: string, abort: AbortController) =>
      checkpoint(handle.pid, path, {
        signal: abort.signal,
        onProgress: ({ phase }) => phase === 'memory' && abort.abort('enough'),
      });
    await assert.rejects(
      work(aborted, new AbortController()),
      (error) => code('ABORTED')(error) && (error as Error).cause === 'enough',
    );
    await assert.rejects(checkpoint(handle.pid, aborted, { signal: AbortSignal.abort() }), code('ABORTED'));
    const thrown = new Error('of the callback');
    const throwing = (): never => {
      throw thrown;
    };
    await assert.rejects(checkpoint(handle.pid, aborted, { onProgress: throwing }), (error) => error === thrown);

    const abort = new AbortController();
    await assert.rejects(restart(image, { signal: abort.signal, onProgress: () => abort.abort() }), code('ABORTED'));
    assert.deepEqual(
      fs.readdirSync(room.directory).filter((name) => name.includes('aborted')),
      [],
    );
    room.go();
    assert.deepEqual(await handle.wait(), { code: 0, signal: null });
  });

  test('the event loop goes on while 200 MB are saved', async () => {
    using room = new Room();
    const { handle } = await begin(room, 'memory', '200');
    await checkpoint(handle.pid, undefined, { dryRun: true }); // an engine is there
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const { stats } = await checkpoint(handle.pid, room.path('image'));
    await restart(room.path('image')).then((again) => again.kill('SIGKILL'));
    await verify(room.path('image'));
    delay.disable();
    assert.ok(stats.totalMs > 50, 'it was too fast to tell');
    // 2 cores at work elsewhere: what would show is a stall as long as the work.
    assert.ok(delay.percentile(99) / 1e6 < 25, `99 % of the delays were below ${delay.percentile(99) / 1e6} ms`);
    assert.ok(delay.max / 1e6 < stats.totalMs / 2, `stalled for ${delay.max / 1e6} of ${stats.totalMs} ms`);
  });

  test('several at once', async () => {
    using room = new Room();
    const handles = await Promise.all(Array.from({ length: 6 }, () => run(['sleep', '60'])));
    handles.forEach(({ pid }) => room.own(pid));
    const results = await Promise.all(handles.map(({ pid }) => checkpoint(pid, room.path(`image.${pid}`))));
    assert.deepEqual(
      results.map(({ pid }) => pid),
      handles.map(({ pid }) => pid),
    );
    assert.equal(new Set(results.map(({ id }) => id)).size, 6);
  });

  test('doctor', async () => {
    const { ok, checks } = await doctor();
    assert.equal(
      ok,
      checks.every((check) => check.ok || !check.required),
    );
    assert.ok(checks.length > 5);
  });
});

suite('run', () => {
  test('exit codes and signals, also of what has ended long ago', async () => {
    const three = await run(['sh', '-c', 'exit 3']);
    assert.deepEqual(await three.wait(), { code: 3, signal: null });
    assert.deepEqual(await three.wait(), { code: 3, signal: null });
    assert.equal(three.kill(), false);
    const sleeping = await run(['sleep', '60']);
    assert.ok(sleeping.alive && sleeping.kill(0) && sleeping.kill('SIGTERM'));
    assert.deepEqual(await sleeping.wait(), { code: null, signal: 'SIGTERM' });
  });

  test('directory, environment, streams, and nothing else', async () => {
    using room = new Room();
    const out = room.path('out');
    fs.writeFileSync(room.path('in'), 'input');
    const error = fs.openSync(room.path('err'), 'w');
    const script = 'cat; pwd; echo $A $B; ls -l /proc/self/fd | wc -l; echo error >&2';
    const program = await run(['sh', '-c', script], {
      directory: room.directory,
      environment: { A: 'a', PATH: process.env['PATH'] },
      streams: { input: { path: room.path('in') }, output: { path: out }, error: { fd: error } },
    });
    fs.closeSync(error);
    assert.deepEqual(await program.wait(), { code: 0, signal: null });
    // 0, 1, 2, the directory that ls reads, and the line `total`.
    assert.equal(fs.readFileSync(out, 'utf8'), `input${room.directory}\na\n5\n`);
    assert.equal(fs.readFileSync(room.path('err'), 'utf8'), 'error\n');
    const more = await run(['./again'], { directory: room.directory }).catch((error: unknown) => error);
    assert.match(String(more), /no such program/);
  });

  test('what cannot be executed is an error', async () => {
    using room = new Room();
    fs.writeFileSync(room.path('text'), 'no program', { mode: 0o755 });
    await assert.rejects(run([]), code('USAGE'));
    await assert.rejects(run(['no-such-program']), /there is no such program/);
    await assert.rejects(run([room.path('text')]), /ENOEXEC/);
    await assert.rejects(run(['true'], { directory: room.path('absent') }), /ENOENT/);
  });

  test('the two system calls are served', { skip: lacks('gcc', 'libc6-dev') }, async () => {
    using room = new Room();
    const output = room.path('out');
    const handle = await run([room.program('rfc/generations'), room.directory], { streams: { output: { path: output } } });
    const program = seen(room, handle, output);
    assert.ok((handle.supervisor ?? 0) > 0);
    await program.line(/^generation 1 \(ret=[1-9]\d*\)/);
    handle.kill('SIGKILL');
    await handle.wait();
    const again = await restart(room.path('image.1'));
    const restarted = seen(room, again, output);
    await restarted.line(/^generation 1 \(ret=0\)/m);
    fs.writeFileSync(room.path('go.1'), '');
    await restarted.line(/^generation 2 \(ret=[1-9]\d*\)/m);
  });
});
