import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { errnoName, errnoNumber } from './errno.ts';

test('numbers of either sign have their names', () => {
  assert.equal(errnoName(1), 'EPERM');
  assert.equal(errnoName(-11), 'EAGAIN');
  assert.equal(errnoName(133), 'EHWPOISON');
  assert.equal(errnoName(-512), 'ERESTARTSYS');
  assert.equal(errnoName(516), 'ERESTART_RESTARTBLOCK');
  assert.equal(errnoName(0), 'errno 0');
  assert.equal(errnoName(41), 'errno 41');
  assert.equal(errnoName(-4095), 'errno 4095');
});

test('names and their aliases have their numbers', () => {
  for (const [name, number] of Object.entries(constants.errno)) assert.equal(errnoNumber(name), number, name);
  assert.equal(errnoNumber('ENOTSUP'), 95);
  assert.equal(errnoNumber('EWOULDBLOCK'), 11);
  assert.equal(errnoNumber('ENOSUCHTHING'), undefined);
  assert.equal(errnoNumber('toString'), undefined);
});
