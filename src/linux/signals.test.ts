import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { signalMask, signalName, signalNumber, signalsInMask } from './signals.ts';

test('names and numbers', () => {
  for (const [name, number] of Object.entries(constants.signals)) assert.equal(signalNumber(name), number, name);
  for (let number = 1; number <= 64; number++) assert.equal(signalNumber(signalName(number)), number);
  assert.equal(signalName(2), 'SIGINT');
  assert.equal(signalName(29), 'SIGIO');
  assert.equal(signalName(33), 'SIG33');
  assert.equal(signalName(34), 'SIGRTMIN');
  assert.equal(signalName(64), 'SIGRTMIN+30');
  assert.equal(signalName(0), 'signal 0');
  assert.equal(signalName(65), 'signal 65');
  assert.equal(signalNumber('INT'), 2);
  assert.equal(signalNumber('SIGCLD'), 17);
  assert.equal(signalNumber('RTMAX-1'), 63);
  for (const name of ['', 'SIG', 'SIGRTMIN-9', 'SIGRTMAX+1', 'SIG65', 'SIG2', 'constructor']) {
    assert.equal(signalNumber(name), undefined, name);
  }
});

test('masks', () => {
  assert.equal(signalMask(1, 64), 0x8000000000000001n);
  assert.deepEqual(signalsInMask(0x8000000000004202n), [2, 10, 15, 64]);
  assert.deepEqual(signalsInMask(0n), []);
});
