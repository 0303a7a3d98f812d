import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMaps, readMaps } from './maps.ts';

const line = (path: string, rest = 'r--p 00000000 fe:01 42'): string =>
  `7f0000000000-7f0000001000 ${rest}${path === '' ? ' ' : `   ${path}`}\n`;
const pathOf = (path: string): readonly [string | undefined, boolean | undefined] => {
  const [vma] = parseMaps(line(path));
  return [vma?.path, vma?.deleted];
};

test('a file, an anonymous area, a shared one, and the highest addresses', () => {
  const text =
    '55d0c0a00000-55d0c0a01000 r-xp 00002000 fe:01 1835042                    /usr/bin/cat\n' +
    '7ffd5e000000-7ffd5e021000 rw-p 00000000 00:00 0 \n' +
    '7f1200000000-7f1200001000 -w-s ffffffff000 103:10 18446744073709551615   /dev/zero (deleted)\n' +
    'ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n';
  const [file, anonymous, shared, vsyscall, ...more] = parseMaps(text);
  assert.deepEqual(file, {
    start: 0x55d0c0a00000n,
    end: 0x55d0c0a01000n,
    read: true,
    write: false,
    execute: true,
    shared: false,
    offset: 0x2000n,
    deviceMajor: 0xfe,
    deviceMinor: 1,
    inode: 1835042n,
    path: '/usr/bin/cat',
    deleted: false,
  });
  assert.deepEqual([anonymous?.path, anonymous?.inode, anonymous?.write], ['', 0n, true]);
  assert.deepEqual([shared?.shared, shared?.read, shared?.write, shared?.deleted], [true, false, true, true]);
  assert.deepEqual(
    [shared?.inode, shared?.offset, shared?.deviceMajor, shared?.deviceMinor],
    [2n ** 64n - 1n, 0xffffffff000n, 0x103, 0x10],
  );
  assert.deepEqual([vsyscall?.start, vsyscall?.end, vsyscall?.path], [0xffffffffff600000n, 0xffffffffff601000n, '[vsyscall]']);
  assert.deepEqual(more, []);
});

test('paths of every kind', () => {
  assert.deepEqual(pathOf('/tmp/a b  c'), ['/tmp/a b  c', false]);
  assert.deepEqual(pathOf('/tmp/ends with blank '), ['/tmp/ends with blank ', false]);
  assert.deepEqual(pathOf('/tmp/two\\012lines'), ['/tmp/two\nlines', false]);
  assert.deepEqual(pathOf('/tmp/back\\slash\\t'), ['/tmp/back\\slash\\t', false]);
  assert.deepEqual(pathOf('/tmp/a-b:c 00:00 0'), ['/tmp/a-b:c 00:00 0', false]);
  assert.deepEqual(pathOf('/tmp/gone (deleted)'), ['/tmp/gone', true]);
  assert.deepEqual(pathOf('/tmp/x (deleted) (deleted)'), ['/tmp/x (deleted)', true]);
  assert.deepEqual(pathOf('/tmp/grüße'), ['/tmp/grüße', false]);
  assert.deepEqual(pathOf('/memfd:name (deleted)'), ['/memfd:name', true]);
  assert.deepEqual(pathOf('[anon:my heap]'), ['[anon:my heap]', false]);
  assert.deepEqual(pathOf(''), ['', false]);
});

test('no lines, and lines that are none', () => {
  assert.deepEqual(parseMaps(''), []);
  for (const text of [
    'hello\n',
    '\n',
    '1000-2000\n',
    '1000-2000 r--p 0 00:00 x\n',
    '1000-2000 r--p 0 0000 1\n',
    '1000-20g0 r--p 0 00:00 1\n',
  ]) {
    assert.throws(() => parseMaps(text), /Cannot understand this line of \/proc\/PID\/maps/, JSON.stringify(text));
  }
});

test('this process', () => {
  const vmas = readMaps(process.pid);
  assert.ok(vmas.some(({ path, execute }) => path === process.execPath && execute));
  assert.ok(vmas.some(({ path }) => path === '[stack]'));
  vmas.reduce((previous, vma) => {
    assert.ok(vma.start >= previous.end && vma.end > vma.start);
    return vma;
  });
});
