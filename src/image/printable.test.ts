import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { printable, quoted } from './printable.ts';

test('nothing that a terminal would obey comes through', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(printable(text), /[\p{Cc}\p{Cf}\p{Cs}]/u);
      assert.doesNotMatch(quoted(text), /[\p{Cc}\p{Cf}\p{Cs}]/u);
    }),
  );
  assert.equal(printable('\u001b[2J\n\u009b\u202e\ud800'), '\\u{1b}[2J\\n\\u{9b}\\u{202e}\\u{d800}');
});

test('plain words go without quotes', () => {
  assert.equal(quoted('/usr/lib/libc.so.6'), '/usr/lib/libc.so.6');
  assert.equal(quoted('two words'), '"two words"');
  assert.equal(quoted('a "b"'), '"a \\"b\\""');
  assert.equal(quoted(''), '""');
});

test('long text is cut off', () => assert.equal(printable('abcdef', 3), 'abc…'));
