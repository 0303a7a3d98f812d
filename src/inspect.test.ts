import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ImageError } from './errors.ts';
import { head, imageOf, noteKind } from './image/testing/fixture.ts';
import { inspect, render, verify } from './inspect.ts';
import { file } from './objects/file.ts';
import { fs } from './objects/fs.ts';
import { task } from './objects/task.ts';

const folder = mkdtempSync(join(tmpdir(), 'stasis-inspect-'));
after(() => rmSync(folder, { recursive: true }));

const image = imageOf((writer) => {
  writer.open(task.record, { pid: 42, comm: 'x', personality: 0, dumpable: 1, stopped: false, systemCalls: false });
  writer.write(file.record, { path: '/bin/x', device: 1n, inode: 2n ** 63n, size: 3n, modified: -1n }, 1);
  writer.write(fs.record, { workingDirectory: '/', umask: 0o22 });
  writer.write({ ...noteKind, tag: 0xfff0, parents: ['task'] }, { text: 'from a newer version' });
  writer.close();
});
const path = join(folder, 'image');
writeFileSync(path, image);

test('a path, a descriptor, a stream give the same tree and the same summary', async () => {
  const tree = await inspect({ path });
  assert.deepEqual(JSON.parse(JSON.stringify(tree)), tree);
  assert.deepEqual(await inspect(new Response(image).body ?? assert.fail()), tree);
  const summary = await verify({ path });
  assert.deepEqual(summary.head, head);
  assert.equal(summary.bytes, image.length);
  for (const read of [inspect, verify]) {
    const fd = openSync(path, 'r');
    assert.deepEqual(await read({ fd }), read === inspect ? tree : summary);
    closeSync(fd);
  }
});

test('the text nests, and shows what is unknown', async () => {
  const text = render(await inspect({ path }));
  assert.match(text, /^head x86_64 2025-07-20T/m);
  assert.match(text, /^task x \(42\) /m);
  assert.match(text, /^ {2}file #1 \/bin\/x .* inode 9223372036854775808 .* modified -1$/m);
  assert.match(text, /^ {2}unknown-0xfff0 {2}text "from a newer version"$/m);
});

test('a damaged image is an ImageError, or the tree up to the damage for who asks for it', async () => {
  const damaged = readFileSync(path).subarray(0, image.length - 40);
  const cut = join(folder, 'cut');
  writeFileSync(cut, damaged);
  await assert.rejects(inspect({ path: cut }), ImageError);
  await assert.rejects(verify({ path: cut }), ImageError);
  const tree = await inspect({ path: cut }, { partial: true });
  assert.match(tree.error?.message ?? '', /cut off/);
  assert.equal(tree.records.length, 2);
});

test('a file that is no image is called that, however short', async () => {
  const other = join(folder, 'other');
  for (const [content, message] of [
    ['hi\n', /Not a Stasis image/],
    ['#!/bin/sh\nexit 0 # long', /Not a Stasis image/],
    ['', /empty/],
  ] as const) {
    // prettier-ignore
    writeFileSync(other, content);
    await assert.rejects(verify({ path: other }), message);
  }
});
