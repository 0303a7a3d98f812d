import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspectEvents, TreeBuilder } from './inspect.ts';
import { KindTable } from './kind-table.ts';
import { memorySource, readEvents } from './read-events.ts';
import { ImageReader } from './reader.ts';
import { render } from './render.ts';
import { defineKind } from './kind.ts';
import { s } from './schema.ts';
import { bookKind, eventsOf, imageOf, kinds, noteKind, sampleImage, sheetsKind, shelfKind } from './testing/fixture.ts';

const shelf = { start: 0xabcn, colour: 'red', wide: true } as const;

test('the tree of an image', () => {
  const tree = inspectEvents(eventsOf(sampleImage(), { unknown: 'show' }));
  assert.deepEqual(JSON.parse(JSON.stringify(tree)), tree);
  assert.equal(tree.error, undefined);
  assert.deepEqual(
    tree.records.map((node) => node.kind),
    ['head', 'book', 'shelf', 'tail'],
  );
  const outer = tree.records[2];
  assert.deepEqual(outer?.value, { start: '0x7ffffffff000', colour: 'red', wide: true });
  assert.equal(outer?.objref, 3);
  assert.equal(outer?.title, 'at 7ffffffff000');
  const [second, loan, inner, note, notebook] = outer?.records ?? [];
  assert.deepEqual(second?.value, { title: 'Second', path: '2fff00' });
  assert.deepEqual(loan?.value, { book: 1, days: [[-5, '-9223372036854775808'], [7, '1099511627776']], flags: '0x8002' }); // prettier-ignore
  assert.deepEqual(inner?.records?.map((node) => node.data), [{ offset: 4096, bytes: 8192 }, undefined, { offset: 16384, bytes: 100 }]); // prettier-ignore
  assert.deepEqual(note?.value, { text: 'from the future' });
  assert.equal(notebook?.records?.length, 2);
});

test('a damaged image gives the tree up to the damage', () => {
  const image = sampleImage();
  image[16_384]! ^= 1; // data of the last sheets
  const tree = inspectEvents(readEvents(new ImageReader(kinds), memorySource(image)));
  assert.match(tree.error?.message ?? '', /Data is damaged/);
  assert.equal(tree.error?.offset, 16_384);
  assert.equal(tree.records[2]?.records?.[2]?.records?.length, 2);
  assert.match(render(tree), /\nDAMAGED: Data is damaged/);
});

test('the text shows nesting, references and data', () => {
  const text = render(inspectEvents(eventsOf(sampleImage())));
  assert.match(text, /^book #1 {2}title First$/m);
  assert.match(text, /^shelf #3 at 7ffffffff000 {2}start 0x7ffffffff000 {2}colour red {2}wide true$/m);
  assert.match(text, /^ {4}sheets \[8 KiB at 4096\] {2}runs \[0, 1, 5, 1\]$/m);
});

test('many records with data are summed up, unless all are wanted', () => {
  const image = imageOf((writer) => {
    writer.open(shelfKind, shelf);
    for (let index = 0; index < 20; index++) writer.data(sheetsKind, { runs: [index] }, new Uint8Array(4096));
    writer.close();
  });
  const tree = inspectEvents(eventsOf(image));
  assert.match(render(tree), /^ {2}… 16 more sheets, 64 KiB$/m);
  assert.equal(render(tree, { all: true }).split('\n').filter((line) => line.includes('sheets')).length, 20); // prettier-ignore
});

test('long values are cut off, unless all is wanted', () => {
  const image = imageOf((writer) => {
    writer.write(bookKind, { title: 'x'.repeat(100), path: new Uint8Array(200) });
    writer.open(shelfKind, shelf);
    writer.data(sheetsKind, { runs: Array.from({ length: 300 }, (_, index) => index) }, new Uint8Array(1));
    writer.close();
  });
  const tree = inspectEvents(eventsOf(image));
  const short = render(tree);
  assert.match(short, /path 0{100}… \(400\)/);
  assert.match(short, /runs \[0, 1, .*… 300 in all\]/);
  assert.ok(short.split('\n').every((line) => line.length <= 130));
  assert.match(render(tree, { all: true }), /path 0{400}/);
});

test('text from the image is escaped', () => {
  const image = imageOf((writer) => {
    writer.write(bookKind, { title: '\u001b]0;owned\u0007\nhead' });
    writer.write(noteKind, { text: '\u009b2J' });
  });
  const text = render(inspectEvents(eventsOf(image, { unknown: 'show' })));
  assert.doesNotMatch(text.replaceAll('\n', ''), /\p{Cc}/u);
  assert.match(text, /title "\\u\{1b\}\]0;owned\\u\{7\}\\nhead"/);
});

test('a field that is longer than a line is laid out below its name', () => {
  const registers = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`r${index}`, 2n ** 60n + BigInt(index)]));
  const word = s.hex(s.u64());
  const kind = defineKind({
    tag: 0x30,
    name: 'cpu',
    parents: ['image'],
    ignorable: true,
    schema: s.record({
      registers: s.record(Object.fromEntries(Object.keys(registers).map((name) => [name, word]))),
      actions: s.array(s.record({ signal: s.uint(), handler: word }), 64),
    }),
  });
  const actions = Array.from({ length: 40 }, (_, signal) => ({ signal, handler: 16n }));
  const table = new KindTable([kind]);
  const text = render(
    inspectEvents(
      eventsOf(
        imageOf((writer) => writer.write(kind, { registers, actions })),
        {},
        table,
      ),
    ),
  );
  assert.match(text, /^cpu\n {4}registers\n {6}r0 0x1000000000000000 {2}r1 0x1000000000000001 /m);
  assert.match(text, /^ {4}actions\n {6}- {2}signal 0 {2}handler 0x10\n/m);
  assert.match(text, /^ {6}… 40 in all$/m);
  assert.ok(text.split('\n').every((line) => line.length <= 120));
});

test('a tree holds only so much', () => {
  const builder = new TreeBuilder(10);
  for (const event of eventsOf(sampleImage())) builder.add(event);
  const tree = builder.tree();
  assert.equal(tree.records.length, 1); // the head alone is more than that
  assert.equal(tree.omitted, 10);
  assert.match(render(tree), /^… 10 records more$/m);
});
