import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasMemoryNodes, parsePolicies, readPolicies } from './numa.ts';

test('one node or several', () => {
  assert.equal(hasMemoryNodes('0'), false);
  assert.equal(hasMemoryNodes('0-1'), true);
  assert.equal(hasMemoryNodes('0,2'), true);
});

test('policies other than the default', () => {
  const text =
    '00400000 default file=/bin/cat mapped=1 N0=1\n7f0000000000 bind:0 anon=4 dirty=4 N0=4\n7f1000000000 interleave:0-1\n';
  assert.deepEqual(parsePolicies(text), [
    { start: '7f0000000000', policy: 'bind:0' },
    { start: '7f1000000000', policy: 'interleave:0-1' },
  ]);
});

test('this process has none', () => {
  assert.deepEqual(readPolicies(process.pid), []);
});
