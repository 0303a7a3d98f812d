import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readMaps, type Vma } from './maps.ts';
import { parseSmaps, readSmaps } from './smaps.ts';

const area = (head: string, lines: readonly string[]): string => [head, ...lines, ''].join('\n');
const head = '7f0000000000-7f0000003000 rw-p 00000000 00:00 0 ';

test('sizes and flags of several areas', () => {
  const text =
    area(head, [
      'Size:                 12 kB',
      'Rss:                   8 kB',
      'Swap:                  4 kB',
      'VmFlags: rd wr mr mw me ac sd ',
    ]) +
    area('7f0000004000-7f0000005000 r--p 00001000 fe:01 9                    /tmp/a b', [
      'Size:                  4 kB',
      'Private_Dirty:         4 kB',
      'THPeligible:           1',
      'ProtectionKey:         3',
      'VmFlags: rd wr mr mw me ac sd ',
    ]);
  const [first, second, ...more] = parseSmaps(text);
  assert.deepEqual([first?.sizes.Size, first?.sizes.Rss, first?.sizes.Swap, first?.sizes.Pss], [12, 8, 4, 0]);
  assert.deepEqual([...(first?.vmFlags ?? [])], ['rd', 'wr', 'mr', 'mw', 'me', 'ac', 'sd']);
  assert.equal(first?.vmFlags, second?.vmFlags, 'equal flags, one set');
  assert.deepEqual([second?.start, second?.path, second?.inode], [0x7f0000004000n, '/tmp/a b', 9n]);
  assert.deepEqual(
    [second?.sizes.Size, second?.sizes.Private_Dirty, second?.sizes.THPeligible, second?.sizes.ProtectionKey, second?.sizes.Rss],
    [4, 4, 1, 3, 0],
  );
  assert.deepEqual(more, []);
});

test('missing lines, unknown lines, another order, no newline at the end', () => {
  const [bare] = parseSmaps(`${head}\n`);
  assert.deepEqual([bare?.sizes.Size, bare?.vmFlags.size], [0, 0]);
  const [odd] = parseSmaps(
    area(head, ['Swap: 3 kB', 'NewThing: 5 kB', 'Pss_Dirty: 2 kB', 'Words: of a kind', 'Pss: 1 kB']).trimEnd(),
  );
  assert.deepEqual([odd?.sizes.Swap, odd?.sizes.Pss_Dirty, odd?.sizes.Pss], [3, 2, 1]);
  assert.deepEqual(parseSmaps(''), []);
  assert.throws(() => parseSmaps(area(head, ['Rss: many kB']))[0]?.sizes, /Cannot understand/);
});

const startAndPath = ({ start, path }: Vma): string => `${start} ${path}`;

test('the areas of this process are those of maps', () => {
  const inMaps = new Set(readMaps(process.pid).map(startAndPath));
  const vmas = readSmaps(process.pid);
  assert.ok(vmas.filter((vma) => inMaps.has(startAndPath(vma))).length > 20);
  const stack = vmas.find(({ path }) => path === '[stack]');
  assert.ok(stack?.vmFlags.has('gd'), 'a stack grows down');
  assert.equal(stack?.sizes.KernelPageSize, 4);
  assert.ok(vmas.every(({ start, end, sizes }) => sizes.Size === Number(end - start) / 1024));
});

test('10,000 areas take far less than the kernel needs to write them', () => {
  const own = Array.from({ length: 24 }, (_, index) => `Line${index}:                4 kB`);
  const known = ['Size', 'KernelPageSize', 'MMUPageSize', 'Rss', 'Pss', 'Pss_Dirty', 'Swap', 'Locked'].map(
    (name) => `${name}:         4 kB`,
  );
  const text = Array.from({ length: 10_000 }, (_, index) => {
    const start = 0x7f0000000000 + index * 0x2000;
    const range = `${start.toString(16)}-${(start + 0x1000).toString(16)}`;
    return area(`${range} rw-p 00000000 00:00 0 `, [...known, ...own.slice(0, 15), 'VmFlags: rd wr mr mw me ac sd ']);
  }).join('');
  const before = performance.now();
  const vmas = parseSmaps(text);
  const took = performance.now() - before;
  assert.equal(vmas.length, 10_000);
  assert.equal(vmas.at(-1)?.sizes.Locked, 4);
  assert.ok(took < 1000, `${took} ms`);
});
