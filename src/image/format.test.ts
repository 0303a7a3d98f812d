/** docs/format.md and the code say the same: its example is an image, its reader in Python reads what we write. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { maxCborDepth, maxCborItems } from './cbor.ts';
import { defaultLimits } from './framing.ts';
import { type Head, headKind } from './head.ts';
import { errorKind, tailKind } from './tail.ts';
import { eventsOf, MemorySink, rewrite, sampleImage } from './testing/fixture.ts';
import { ImageWriter } from './writer.ts';

const page = readFileSync(new URL('../../docs/format.md', import.meta.url), 'utf8');

/** The example of the page. */
function exampleImage(): Uint8Array {
  const block = /```hex\n(.*?)```/s.exec(page)?.[1] ?? '';
  const rows = block.matchAll(/^[0-9a-f]{4} {2}((?:[0-9a-f]{2} ?){1,16})/gm);
  return new Uint8Array(Buffer.from([...rows].map((row) => row[1]?.replaceAll(' ', '') ?? '').join(''), 'hex'));
}

test('the example is an image, and just what the program writes', () => {
  const image = exampleImage();
  const [head] = eventsOf(image);
  assert.ok(head !== undefined && head.type === 'leaf');
  const sink = new MemorySink();
  new ImageWriter(sink, head.value as Head).finish();
  assert.deepEqual(sink.bytes(), image);
  assert.deepEqual(rewrite(image), image);
});

test('the reader in Python reads images, and refuses damaged ones', (context) => {
  const program = /```python\n(.*?)```/s.exec(page)?.[1] ?? '';
  const directory = mkdtempSync(join(tmpdir(), 'stasis-format-'));
  context.after(() => rmSync(directory, { recursive: true }));
  const read = (image: Uint8Array): { status: number | null; stdout: string } => {
    writeFileSync(join(directory, 'image'), image);
    return spawnSync('python3', ['-c', program, join(directory, 'image')], { encoding: 'utf8' });
  };
  if (spawnSync('python3', ['--version']).error !== undefined) {
    context.skip('python3 is not installed');
    return;
  }
  const image = sampleImage();
  for (const whole of [exampleImage(), image]) assert.match(read(whole).stdout, /\nwhole\n$/);
  assert.match(read(image).stdout, /^ {2}0x12 #0 .*'book': 1/m);
  for (const at of [3, 20, 60, 300, 5000, image.length - 1]) {
    const damaged = image.slice();
    damaged[at]! ^= 1;
    assert.notEqual(read(damaged).status, 0, `byte ${at}`);
  }
});

test('the limits', () => {
  const rows: Record<string, string> = {
    'payload of a record': `${defaultLimits.payload >> 20} MiB`,
    'data of a record': `${defaultLimits.data >> 20} MiB`,
    'containers open at once': String(defaultLimits.depth),
    objref: defaultLimits.objref.toLocaleString('en'),
    'arrays and maps within each other in one payload': String(maxCborDepth),
    'CBOR items in one payload, keys counted': maxCborItems.toLocaleString('en'),
  };
  for (const [what, value] of Object.entries(rows)) assert.ok(page.includes(`| ${what} | ${value} |`), `${what}: ${value}`);
});

test('the fields of the format’s own records', () => {
  for (const { name, tag, schema } of [headKind, tailKind, errorKind]) {
    assert.ok(page.includes(`| ${tag} | ${name.toUpperCase()} |`), name);
    assert.ok(schema.shape.type === 'record');
    for (const field of schema.shape.fields) assert.ok(page.includes(`\n| ${field.name} | `), field.name);
  }
});
