import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { ImageError } from '../errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { readingPath, writingPath } from './path.ts';
import { type Infer, s, type Schema, unknownFields, unknownFieldsOf } from './schema.ts';

const encode = <T>(schema: Schema<T>, value: T): Uint8Array => encodeCbor(schema.encode(value, writingPath('value')));
const decode = <T>(schema: Schema<T>, bytes: Uint8Array): T => schema.decode(decodeCbor(bytes), readingPath('value', 42));
const wellFormed = fc.string({ unit: 'binary', maxLength: 50 });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const i64 = fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n });

const point = s.record({ x: s.u64(), label: s.optional(s.text(400)) });
const points = fc.record({ x: u64, label: wellFormed }, { requiredKeys: ['x'], noNullPrototype: true });

/** A schema, and values that it describes. */
interface Law<T = unknown> {
  readonly name: string;
  readonly schema: Schema<T>;
  readonly values: fc.Arbitrary<T>;
}
const law = <T>(name: string, schema: Schema<T>, values: fc.Arbitrary<T>): Law => ({ name, schema, values });
const laws: readonly Law[] = [
  law('uint', s.uint(), fc.maxSafeNat()),
  law('uint(max)', s.uint(9), fc.nat(9)),
  law('int', s.int(), fc.maxSafeInteger()),
  law('u64', s.u64(), fc.oneof(u64, fc.bigInt({ min: 0n, max: 300n }))),
  law('i64', s.i64(), fc.oneof(i64, fc.bigInt({ min: -300n, max: 300n }))),
  law('bool', s.bool(), fc.boolean()),
  law('bytes', s.bytes(64), fc.uint8Array({ maxLength: 64 })),
  law('text', s.text(400), fc.oneof(wellFormed, fc.constantFrom('\ufeffbom', '\0', '\ufffd'))),
  law('oneOf', s.oneOf('a', 'b'), fc.constantFrom('a', 'b')),
  law('objref', s.objref('book'), fc.integer({ min: 1, max: 1 << 20 })),
  law('hex', s.hex(s.u64()), u64),
  law('array', s.array(s.i64(), 8), fc.array(i64, { maxLength: 8 })),
  law('tuple', s.tuple(s.u64(), s.text(400), s.bool()), fc.tuple(u64, wellFormed, fc.boolean())),
  law('record', point, points),
  law('array of records', s.array(point, 5), fc.array(points, { maxLength: 5 })),
  law(
    'record of everything',
    s.record({ a: point, b: s.tuple(point), c: s.optional(s.array(s.bytes(4), 2)) }), // prettier-ignore
    fc.record(
      { a: points, b: fc.tuple(points), c: fc.array(fc.uint8Array({ maxLength: 4 }), { maxLength: 2 }) },
      { requiredKeys: ['a', 'b'], noNullPrototype: true },
    ),
  ),
  law('any', s.any(), fc.oneof(fc.maxSafeInteger(), wellFormed, fc.boolean())),
];

for (const { name, schema, values } of laws) {
  test(`${name}: what was encoded decodes to the same value`, () => {
    fc.assert(fc.property(values, (value) => assert.deepEqual(decode(schema, encode(schema, value)), value)));
  });

  test(`${name}: any CBOR decodes to what encodes again, or is an ImageError with its place`, () => {
    const anything = fc.oneof(
      fc.maxSafeInteger(),
      fc.bigInt({ min: -(1n << 64n), max: (1n << 64n) - 1n }),
      wellFormed,
      fc.boolean(),
      fc.uint8Array({ maxLength: 80 }),
      fc.array(fc.oneof(fc.maxSafeInteger(), wellFormed, fc.boolean()), { maxLength: 10 }),
      fc
        .dictionary(fc.constantFrom('x', 'a', 'label', 'more'), fc.maxSafeInteger())
        .map((entries) => new Map(Object.entries(entries))),
    );
    fc.assert(
      fc.property(anything, (raw) => {
        const bytes = encodeCbor(raw);
        let value: unknown;
        try {
          value = decode(schema, bytes);
        } catch (error) {
          assert.ok(error instanceof ImageError);
          assert.equal(error.offset, 42);
          assert.match(error.path, /^value/);
          return;
        }
        assert.deepEqual(decode(schema, encode(schema, value)), value);
      }),
    );
  });
}

test('the type comes out of the schema', () => {
  const schema = s.record({
    pid: s.uint(),
    kind: s.oneOf('a', 'b'),
    pair: s.tuple(s.u64(), s.bool()),
    more: s.optional(s.text(9)),
  });
  type Expected = { pid: number; kind: 'a' | 'b'; pair: readonly [bigint, boolean]; more?: string | undefined };
  const value: Infer<typeof schema> = { pid: 1, kind: 'b', pair: [1n, true] } satisfies Expected;
  const back: Expected = value;
  assert.deepEqual(decode(schema, encode(schema, back)), value);
});

const refused: readonly (readonly [name: string, schema: Schema<unknown>, value: unknown, reason: RegExp])[] = [
  ['uint below 0', s.uint(), -1, /not within/],
  ['uint above its limit', s.uint(255), 256, /256 is not within 0 and 255/],
  ['uint beyond 2^53', s.uint(), 1n << 60n, /expected a number, found number 1152921504606846976/],
  ['u64 below 0', s.u64(), -1n, /not within/],
  ['i64 of 2^63', s.i64(), 1n << 63n, /not within/],
  ['too many bytes', s.bytes(2), new Uint8Array(3), /3 bytes, at most 2/],
  ['text for bytes', s.bytes(2), 'a', /expected bytes, found text "a"/],
  ['text too long in UTF-8', s.text(3), 'ää', /longer than 3 bytes/],
  ['an unknown word', s.oneOf('a'), 'b', /expected one of a, found text "b"/],
  ['too many items', s.array(s.uint(), 1), [1, 2], /2 items, at most 1/],
  ['a tuple of the wrong length', s.tuple(s.uint()), [1, 2], /exactly 1/],
  ['objref 0', s.objref(), 0, /expected an objref/],
  ['a record for a number', s.uint(), new Map(), /found a record/],
];
for (const [name, schema, value, reason] of refused) {
  test(`refuses ${name}, both ways`, () => {
    assert.throws(() => decode(schema, encodeCbor(value)), reason);
    assert.throws(() => schema.encode(value, writingPath('value')), { name: 'TypeError' });
  });
}

test('an error names the field', () => {
  const schema = s.record({ list: s.array(s.record({ name: s.text(5) }), 5) });
  const bad = new Map([['list', [new Map([['name', 'a']]), new Map([['name', 7]])]]]);
  assert.throws(() => decode(schema, encodeCbor(bad)), { path: 'value.list[1].name', message: /expected text, found number 7/ });
  assert.throws(() => decode(schema, encodeCbor(new Map())), /field list is missing/);
});

test('half a surrogate pair is not written', () => {
  assert.throws(() => encode(s.text(10), 'a\ud800'), /surrogate/);
});

test('text from an image cannot play tricks in an error message', () => {
  assert.throws(
    () => decode(s.oneOf('a'), encodeCbor('\u001b[31mred\u202e')),
    (error: Error) => error.message.includes('\\u{1b}[31mred\\u{202e}'),
  );
});

test('unknown fields survive decoding, a copy, and encoding', () => {
  const newer = s.record({ x: s.u64(), note: s.text(10), deep: s.record({ a: s.array(s.i64(), 3) }) });
  const bytes = encode(newer, { x: 5n, note: 'new', deep: { a: [-1n, 1n << 62n] } });
  const value = decode(point, bytes);
  assert.equal(value.x, 5n);
  assert.deepEqual([...unknownFieldsOf(value).keys()], ['note', 'deep']);
  assert.deepEqual(encode(point, { ...value }), bytes);
  assert.deepEqual(Object.keys(value), ['x']);
});

test('unknown fields with any names survive', () => {
  const more = fc.uniqueArray(
    fc.tuple(fc.oneof(wellFormed, fc.constantFrom('__proto__', 'constructor', '0')), fc.maxSafeInteger()),
    {
      selector: ([name]) => name,
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(more, (entries) => {
      const bytes = encodeCbor(
        new Map([['x', 1], ...entries.filter(([name]) => name !== 'x' && name !== 'label')] as [string, number][]),
      );
      assert.deepEqual(encode(point, decode(point, bytes)), bytes);
    }),
  );
});

test('a field that became known is written once', () => {
  const value = { x: 1n, [unknownFields]: new Map([['x', 2]]) };
  assert.deepEqual(decode(point, encode(point, value)), { x: 1n });
});

test('field names that mean something else are refused', () => {
  for (const name of ['__proto__', 'constructor', '1', '?a', 'Big']) {
    assert.throws(() => s.record({ [name]: s.uint() }), TypeError);
  }
});
