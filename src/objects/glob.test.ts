import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { findFiles, globToRegExp } from './glob.ts';

test('patterns', () => {
  const matches: [pattern: string, yes: string[], no: string[]][] = [
    ['/a/*.txt', ['/a/b.txt', '/a/.txt'], ['/a/b/c.txt', '/a/btxt', '/a/b.txt.c']],
    ['/a/**/*.c', ['/a/x.c', '/a/b/x.c', '/a/b/c/x.c'], ['/b/x.c', '/a/x.h']],
    ['/a/[bc]?', ['/a/bx', '/a/cx'], ['/a/dx', '/a/b', '/a/b/']],
    ['/a/[!b]', ['/a/c'], ['/a/b']],
    ['/a+(b)', ['/a+(b)'], ['/aa', '/ab']],
  ];
  for (const [pattern, yes, no] of matches) {
    for (const path of yes) assert.match(path, globToRegExp(pattern), pattern);
    for (const path of no) assert.doesNotMatch(path, globToRegExp(pattern), pattern);
  }
});

const folder = mkdtempSync(join(tmpdir(), 'stasis-glob-'));
after(() => rmSync(folder, { recursive: true }));

test('files, and directories with what is in them', () => {
  mkdirSync(join(folder, 'tree/inner'), { recursive: true });
  for (const name of ['one.txt', 'two.c', 'tree/three.txt', 'tree/inner/four.txt']) writeFileSync(join(folder, name), name);
  symlinkSync('nowhere', join(folder, 'tree/link'));
  const found = (pattern: string): string[] => findFiles(join(folder, pattern)).map(({ path }) => path.slice(folder.length + 1));
  const tree = ['tree', 'tree/inner', 'tree/inner/four.txt', 'tree/link', 'tree/three.txt'];
  assert.deepEqual(found('tree'), tree);
  assert.deepEqual(found('tree/**'), tree);
  assert.deepEqual(found('t*'), [...tree, 'two.c']);
  assert.deepEqual(found('**/*.txt'), ['one.txt', 'tree/inner/four.txt', 'tree/three.txt']);
  assert.deepEqual(found('*.h'), []);
  assert.deepEqual(found('none'), []);
});
