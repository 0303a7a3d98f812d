import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columns, formatBytes, formatMilliseconds, paragraph } from './text.ts';

test('paragraphs break between words; a word longer than the line stands alone', () => {
  assert.deepEqual(paragraph('one two three', 8), ['one two', 'three']);
  assert.deepEqual(paragraph('a incomprehensibly b', 6, '  '), ['  a', '  incomprehensibly', '  b']);
  assert.deepEqual(paragraph('', 8), []);
});

test('the second column is aligned and wrapped', () => {
  assert.deepEqual(
    columns(
      [
        ['-x', 'one two three four five six seven eight'],
        ['--long', 'y'],
      ],
      40,
    ),
    ['  -x      one two three four five six', '          seven eight', '  --long  y'],
  );
});

test('sizes and durations have three digits or so', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 157286400, 2 ** 40].map(formatBytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '150 MiB',
    '1.0 TiB',
  ]);
  assert.deepEqual([0.123, 12.34, 999, 1800].map(formatMilliseconds), ['0.12 ms', '12.3 ms', '999.0 ms', '1.80 s']);
});
