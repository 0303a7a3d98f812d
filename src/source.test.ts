import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { StasisError } from './errors.ts';
import { openSource } from './source.ts';

const directory = mkdtempSync(join(tmpdir(), 'stasis-source-'));
after(() => rmSync(directory, { recursive: true }));
const path = join(directory, 'image');
writeFileSync(
  path,
  Uint8Array.from({ length: 10_000 }, (_, index) => index & 255),
);

test('a file: reads, skips, ends', () => {
  using source = openSource({ path });
  assert.equal(source.isFile, true);
  const into = new Uint8Array(100);
  assert.equal(source.read(into), 100);
  assert.equal(into[99], 99);
  source.skip(9_850);
  assert.equal(source.position, 9_950);
  assert.equal(source.read(into), 50);
  assert.equal(into[0], 9_950 & 255);
  assert.equal(source.read(into), 0);
  source.skip(1 << 30);
  assert.equal(source.read(into), 0);
});

test('a descriptor: from where it stands, and not a byte further than asked', () => {
  const fd = openSync(path, 'r');
  const source = openSource({ fd });
  const into = new Uint8Array(10);
  source.read(into);
  source.skip(90);
  source.close();
  const next = openSource({ fd });
  next.read(into);
  assert.equal(into[0], 100);
  next.skip(1_000_000);
  assert.equal(next.read(into), 0);
  closeSync(fd);
});

test('a non-blocking pipe whose writer is slow', async () => {
  const fifo = join(directory, 'fifo');
  spawnSync('mkfifo', [fifo]);
  const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const child = spawn('sh', ['-c', 'exec > "$1"; printf abc; sleep 0.3; printf def', 'sh', fifo]);
  const into = new Uint8Array(6);
  // Until the writer has opened it, a named pipe is at its end.
  let count = 0;
  while (count === 0) count = openSource({ fd }).read(into);
  assert.equal(count, 6);
  assert.equal(Buffer.from(into).toString(), 'abcdef');
  closeSync(fd);
  child.unref();
});

test('what cannot be read is a StasisError', () => {
  for (const wrong of ['/nonexistent/image', directory]) {
    assert.throws(
      () => {
        using source = openSource({ path: wrong });
        source.read(new Uint8Array(1));
      },
      (error) => error instanceof StasisError && error.message.includes(wrong) && error.exitCode === 1,
    );
  }
  assert.throws(() => openSource({ fd: 999 }).read(new Uint8Array(1)), StasisError);
});
