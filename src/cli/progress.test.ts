import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openProgress, progressLine } from './progress.ts';
import { renderStats } from './stats.ts';

test('a line of progress', () => {
  assert.equal(progressLine({ phase: 'freeze' }), 'freeze');
  assert.equal(progressLine({ phase: 'memory', bytes: 1 << 20 }), 'memory: 1.0 MiB');
  assert.equal(progressLine({ phase: 'memory', bytes: 1 << 20, total: 4 << 20 }), 'memory: 1.0 MiB of 4.0 MiB, 25 %');
  assert.equal(progressLine({ phase: 'memory', bytes: 5, total: 4 }), 'memory: 5 B of 4 B, 100 %');
  assert.equal(progressLine({ phase: 'memory', bytes: 0, total: 0 }), 'memory: 0 B');
});

test('no progress where it is not wanted', () => {
  using progress = openProgress(false);
  progress.update({ phase: 'memory' });
});

test('statistics as two columns', () => {
  const text = renderStats({ freezeMs: 1.234, writeMs: 12.34, totalMs: 1234, bytes: 2048, pages: 7 });
  assert.deepEqual(
    text
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
    [
      ['freeze', '1.23 ms'],
      ['write', '12.3 ms'],
      ['total', '1.23 s'],
      ['bytes', '2.0 KiB'],
      ['pages', '7'],
    ],
  );
  assert.equal(
    new Set(
      text
        .trimEnd()
        .split('\n')
        .map((line) => line.length),
    ).size,
    1,
  );
});
