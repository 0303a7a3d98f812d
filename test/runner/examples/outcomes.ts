/** Every outcome that a test can have, for test/runner.test.ts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

console.log('printed by the file');
test('passes', () => {});
test('is skipped', { skip: 'for a reason' }, () => assert.fail());
test('fails', () => assert.equal(1, 2, 'one is not two'));
describe('a suite', () => {
  test('passes inside', () => {});
  test('fails inside', () => assert.fail('inside'));
});
test('with subtests', async (context) => {
  await context.test('fails below', () => assert.fail('below'));
});
