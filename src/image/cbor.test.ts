import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { type CborValue, decodeCbor, encodeCbor, maxCborDepth, maxCborItems } from './cbor.ts';

const scalar: fc.Arbitrary<CborValue> = fc.oneof(
  fc.maxSafeInteger(),
  fc.bigInt({ min: 1n << 53n, max: (1n << 64n) - 1n }),
  fc.bigInt({ min: -(1n << 64n), max: -(1n << 53n) }),
  fc.boolean(),
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\ufeffmark first', '\ufffd', '__proto__', ''),
  fc.uint8Array({ maxLength: 300 }),
);
const { value } = fc.letrec<{ value: CborValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.array(fc.tuple(fc.string({ unit: 'binary' }), tie('value')), { maxLength: 5 }).map((entries) => new Map(entries)),
  ),
}));

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

test('every value comes back, and has one encoding', () => {
  fc.assert(
    fc.property(value, (original) => {
      const bytes = encodeCbor(original);
      const decoded = decodeCbor(bytes);
      assert.deepEqual(decoded, original);
      assert.deepEqual(encodeCbor(decoded), bytes);
    }),
  );
});

test('random bytes decode to a value that encodes to the same bytes, or throw an Error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
      let decoded: CborValue;
      try {
        decoded = decodeCbor(bytes);
      } catch (error) {
        assert.ok(error instanceof Error);
        return;
      }
      assert.deepEqual(encodeCbor(decoded), bytes);
    }),
    { numRuns: 5000 },
  );
});

const refused: readonly (readonly [name: string, hex: string, reason: RegExp])[] = [
  ['nothing', '', /did not find/],
  ['something behind the value', '01 01', /too many/],
  ['half float', 'f9 3c00', /float/],
  ['double', 'fb 3ff8000000000000', /float/],
  ['NaN', 'f9 7e00', /NaN|float/],
  ['null', 'f6', /null/],
  ['undefined', 'f7', /undefined/],
  ['simple value', 'f8 20', /simple/],
  ['tag', 'c1 00', /tag/],
  ['bignum', 'c2 41 01', /tag/],
  ['break', 'ff', /indefinite/],
  ['endless array', '9f 01 ff', /indefinite/],
  ['endless map', 'bf ff', /indefinite/],
  ['endless bytes', '5f 41 01 ff', /indefinite/],
  ['long form of a number', '18 01', /more bytes/],
  ['long form of a length', '58 01 00', /more bytes/],
  ['a key twice', 'a2 61 61 01 61 61 02', /repeat/],
  ['a number as key', 'a1 01 02', /key/],
  ['bytes as key', 'a1 41 61 02', /key/],
  ['an array as key', 'a1 80 02', /key/],
  ['a map as second key', 'a2 61 61 01 a0 02', /key/],
  ['text that is not UTF-8', '61 ff', /UTF-8/],
  ['text with an encoded surrogate', '63 eda080', /UTF-8/],
  ['text with an overlong form', '62 c081', /UTF-8/],
  ['an array of 4 billion', '9a ffffffff 00', /fewer bytes/],
  ['a map of 2^64 - 1', 'bb ffffffffffffffff', /length/],
  ['text cut off', '65 61', /not enough/],
];
for (const [name, hex, reason] of refused) {
  test(`refuses ${name}`, () => assert.throws(() => decodeCbor(bytesOf(hex)), reason));
}

const nested = (depth: number): Uint8Array => new Uint8Array([...Array.from({ length: depth }, () => 0x81), 0x80]);

test('nests to the limit and no deeper', () => {
  // The innermost, empty array counts as a value only.
  assert.ok(decodeCbor(nested(maxCborDepth)));
  assert.throws(() => decodeCbor(nested(maxCborDepth + 1)), /nested deeper/);
  assert.throws(() => decodeCbor(new Uint8Array(1 << 20).fill(0x81)), /nested deeper/);
});

const many = (count: number): Uint8Array => {
  const bytes = new Uint8Array(5 + count);
  bytes[0] = 0x9a;
  new DataView(bytes.buffer).setUint32(1, count);
  return bytes;
};

test('holds as many values as the limit and no more', () => {
  assert.equal((decodeCbor(many(maxCborItems - 1)) as unknown[]).length, maxCborItems - 1);
  assert.throws(() => decodeCbor(many(maxCborItems)), /more than/);
});

test('decoded bytes are a copy, from a Buffer too', () => {
  const source = Buffer.from([0x42, 1, 2]);
  const decoded = decodeCbor(source);
  source.fill(9);
  assert.deepEqual(decoded, new Uint8Array([1, 2]));
});
