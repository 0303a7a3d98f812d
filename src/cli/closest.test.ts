import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, property, string } from 'fast-check';
import { closest, editDistance } from './closest.ts';

test('one slip of the finger is found', () => {
  const words = ['checkpoint', 'restart', 'run', 'inspect', 'verify', 'doctor'];
  for (const [typed, meant] of [
    ['chekpoint', 'checkpoint'],
    ['rsetart', 'restart'],
    ['rum', 'run'],
    ['inspct', 'inspect'],
    ['verifyy', 'verify'],
    ['doc', 'doctor'],
    ['check', 'checkpoint'],
  ] as const) {
    assert.equal(closest(typed, words), meant);
  }
});

test('what resembles nothing gets no suggestion', () => {
  for (const typed of ['', 'x', 'frobnicate', 'stop'])
    assert.equal(closest(typed, ['restart', 'checkpoint', 'inspect']), undefined);
});

test('the distance is zero for the same word, symmetric, and at most the longer length', () => {
  check(
    property(string({ maxLength: 8 }), string({ maxLength: 8 }), (a, b) => {
      const distance = editDistance(a, b);
      assert.equal(distance === 0, a === b);
      assert.equal(distance, editDistance(b, a));
      assert.ok(distance >= Math.abs(a.length - b.length) && distance <= Math.max(a.length, b.length));
    }),
  );
});
