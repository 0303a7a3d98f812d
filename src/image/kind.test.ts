import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defineKind, type KindDefinition, type RecordKind } from './kind.ts';
import { KindTable } from './kind-table.ts';
import { s } from './schema.ts';

const kind = (changes: Partial<KindDefinition<unknown>> = {}): RecordKind =>
  defineKind({ tag: 0x10, name: 'thing', parents: ['image'], schema: s.any(), ...changes });

test('a kind is a plain leaf unless it says otherwise', () => {
  const { container, data, ignorable } = kind();
  assert.deepEqual({ container, data, ignorable }, { container: false, data: false, ignorable: false });
});

test('impossible kinds are refused', () => {
  assert.throws(() => kind({ tag: 0 }), /tag 0/);
  assert.throws(() => kind({ tag: 0xffff }), /tag 65535/);
  assert.throws(() => kind({ container: true, data: true }), /container and have data/);
  assert.throws(() => kind({ parents: [] }), /nowhere/);
});

test('a table finds kinds by tag, those of the format too', () => {
  const one = kind();
  const table = new KindTable([one]);
  assert.equal(table.byTag(0x10), one);
  assert.equal(table.byTag(1)?.name, 'head');
  assert.equal(table.byTag(0x11), undefined);
});

test('a table refuses kinds that contradict each other', () => {
  assert.throws(() => new KindTable([kind(), kind({ name: 'other' })]), /same tag/);
  assert.throws(() => new KindTable([kind(), kind({ tag: 0x11 })]), /same name/);
  assert.throws(() => new KindTable([kind({ name: 'head' })]), /same name/);
  assert.throws(() => new KindTable([kind({ name: 'image' })]), /same name/);
  assert.throws(() => new KindTable([kind({ tag: 15 })]), /belongs to the format/);
  assert.throws(() => new KindTable([kind({ parents: ['nobody'] })]), /no container/);
  assert.throws(() => new KindTable([kind(), kind({ tag: 0x11, name: 'other', parents: ['thing'] })]), /no container/);
});
