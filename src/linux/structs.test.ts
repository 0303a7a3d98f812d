import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Struct, viewOf } from './structs.ts';

const fields = {
  a: ['u8', 0],
  b: ['u16', 2],
  c: ['u32', 4],
  d: ['i32', 8],
  e: ['u64', 16],
  f: ['i64', 24],
  g: ['bytes', 32, 4],
} as const;
const sample: Struct<typeof fields> = new Struct({ type: 'struct sample', header: 'none', size: 40, fields });

test('fields go to their offsets, little-endian, and come back', () => {
  const values = {
    a: 255,
    b: 0x1234,
    c: 0xfedc_ba98,
    d: -2,
    e: 2n ** 64n - 1n,
    f: -(2n ** 63n),
    g: new Uint8Array([1, 2, 3, 4]),
  };
  const bytes = sample.make(values);
  assert.equal(bytes.length, 40);
  assert.equal(Buffer.from(bytes.subarray(0, 12)).toString('hex'), 'ff00341298badcfefeffffff');
  assert.deepEqual(sample.parse(bytes), values);
  assert.equal(sample.get(viewOf(bytes), 'd'), -2);
  assert.equal(sample.offset('e'), 16);
});

test('a struct at an offset, in bytes that are a view themselves', () => {
  const bytes = new Uint8Array(200).subarray(10, 110);
  sample.set(viewOf(bytes), 'e', 7n, 48);
  assert.equal(bytes[48 + 16], 7);
  sample.write(viewOf(bytes), { g: new Uint8Array([9]), a: 1 }, 48);
  assert.deepEqual([...sample.get(viewOf(bytes), 'g', 48)], [9, 0, 0, 0]);
  assert.equal(sample.get(viewOf(bytes), 'e', 48), 7n);
  sample.get(viewOf(bytes), 'g', 48)[1] = 5;
  assert.equal(bytes[48 + 33], 5, 'bytes are a view, not a copy');
});

test('what does not fit is refused', () => {
  const view = viewOf(sample.make());
  const bad: readonly (() => void)[] = [
    () => sample.set(view, 'a', 256),
    () => sample.set(view, 'a', -1),
    () => sample.set(view, 'c', 2 ** 32),
    () => sample.set(view, 'd', 2 ** 31),
    () => sample.set(view, 'c', 1.5),
    () => sample.set(view, 'c', NaN),
    () => sample.set(view, 'e', -1n),
    () => sample.set(view, 'e', 2n ** 64n),
    () => sample.set(view, 'f', 2n ** 63n),
    () => sample.set(view, 'g', new Uint8Array(5)),
    () => sample.set(view, 'e', 1n, 32),
    () => sample.get(view, 'g', 8),
    () => sample.parse(new Uint8Array(39).subarray(0, 30)),
  ];
  for (const action of bad) assert.throws(action, RangeError);
  assert.deepEqual(sample.read(view), sample.parse(sample.make()), 'nothing was written');
});
