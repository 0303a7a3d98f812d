/** A restart that fails, or an image that is damaged: a clear error, its exit code, and nothing runs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { encodePreamble, headerSize, paddingAt, preambleSize } from '../src/image/framing.ts';
import { begin, failed } from './expectations.ts';
import { commandPath, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { identify, kill, runningExecutable } from './processes.ts';
import { until } from './program.ts';

/** The image with a word of its head replaced by one as long, and all checksums right again: as another machine writes it. */
function replaceInHead(bytes: Buffer, word: string, by: string): Buffer {
  const forged = Buffer.from(bytes);
  const [header, payload] = [preambleSize, preambleSize + headerSize];
  const length = forged.readUInt32LE(header + 8);
  const at = forged.indexOf(word, payload);
  assert.ok(at > 0 && at < payload + length, `the head holds ${word}`);
  const before = digests(forged);
  forged.write(by, at);
  forged.writeUInt32LE(crc32(forged.subarray(payload, payload + length)), header + 16);
  forged.writeUInt32LE(crc32(forged.subarray(header, header + 28)), header + 28);
  const tail = before.tail + headerSize;
  const place = forged.indexOf(before.digest, tail);
  assert.ok(place > 0, 'the tail holds the digest');
  digests(forged).digest.copy(forged, place);
  forged.writeUInt32LE(crc32(forged.subarray(tail, tail + forged.readUInt32LE(before.tail + 8))), before.tail + 16);
  forged.writeUInt32LE(crc32(forged.subarray(before.tail, before.tail + 28)), before.tail + 28);
  return forged;
}

/** Place of the tail record, and the SHA-256 over the preamble and all headers and payloads before it. */
function digests(bytes: Buffer): { tail: number; digest: Buffer } {
  const hash = createHash('sha256').update(bytes.subarray(0, preambleSize));
  for (let at = preambleSize; ;) {
    const payloadEnd = at + headerSize + bytes.readUInt32LE(at + 8);
    const data = bytes.readUInt32LE(at + 12);
    const end = data === 0 ? payloadEnd : payloadEnd + paddingAt(payloadEnd) + data;
    if (end >= bytes.length) return { tail: at, digest: hash.digest() };
    hash.update(bytes.subarray(at, payloadEnd));
    at = end;
  }
}

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
  for (const args of [
    ['verify', path],
    ['restart', '--dry-run', path],
    ['restart', '-d', path],
  ]) {
    const result = await room.stasis(args);
    assert.equal(result.code, 12, `${what}, ${args[0]}: exit code ${result.code}, ${result.stderr}`);
    if (message) assert.match(result.stderr, message, what);
  }
  assert.deepEqual(runningExecutable(executable), [], `${what}: nothing runs`);
}

suite('a restart that fails', { skip: lacks('gcc', 'libc6-dev') }, () => {
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
    const broken = replaceInHead(bytes, 'x86_64', 's390_x');
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
