/** Schemas of any form with values that fit them, for property tests. */
import * as fc from 'fast-check';
import { type OptionalField, s, type Schema } from '../schema.ts';

export interface SchemaSample {
  readonly schema: Schema<unknown>;
  readonly value: unknown;
}

const scalars: readonly fc.Arbitrary<SchemaSample>[] = [
  sampleOf(s.uint(), fc.maxSafeNat()),
  sampleOf(s.uint(255), fc.nat(255)),
  sampleOf(s.int(), fc.maxSafeInteger()),
  sampleOf(s.u64(), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  sampleOf(s.i64(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
  sampleOf(s.bool(), fc.boolean()),
  sampleOf(s.bytes(300), fc.uint8Array({ maxLength: 300 })),
  sampleOf(
    s.text(1200),
    fc.string({ unit: 'binary', maxLength: 300 }).filter((text) => !/\p{Cs}/u.test(text)),
  ),
  sampleOf(s.oneOf('red', 'green'), fc.constantFrom('red' as const, 'green' as const)),
  sampleOf(s.objref(), fc.integer({ min: 1, max: 2 ** 20 })),
  sampleOf(s.hex(s.u64()), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  sampleOf(s.any(), cborValue()),
];

function sampleOf<T>(schema: Schema<T>, values: fc.Arbitrary<T>): fc.Arbitrary<SchemaSample> {
  return values.map((value) => ({ schema: schema as Schema<unknown>, value }));
}

/** What images can hold, as the CBOR layer gives it. */
export function cborValue(): fc.Arbitrary<unknown> {
  const scalar = fc.oneof(
    fc.maxSafeInteger(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.bigInt({ min: -(2n ** 64n), max: -(2n ** 53n) }),
    fc.boolean(),
    fc.uint8Array({ maxLength: 40 }),
    fc.string({ unit: 'binary', maxLength: 40 }).filter((text) => !/\p{Cs}/u.test(text)),
  );
  const key = fc.oneof(fc.constantFrom('', '__proto__', 'constructor'), fc.string({ maxLength: 8 }));
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      scalar,
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .uniqueArray(fc.tuple(key, tie('value')), { maxLength: 4, selector: ([name]) => name })
        .map((entries) => new Map(entries)),
    ),
  }));
  return value;
}

/** Of scalars, arrays, tuples and records within each other, optional fields present or not. */
export function schemaSamples(): fc.Arbitrary<SchemaSample> {
  const { sample } = fc.letrec<{ sample: SchemaSample }>((tie) => ({
    sample: fc.oneof(
      { maxDepth: 4, depthSize: 'small' },
      ...scalars,
      tuples(tie('sample')),
      records(tie('sample')),
      arrays(tie('sample')),
    ),
  }));
  return sample;
}

function arrays(items: fc.Arbitrary<SchemaSample>): fc.Arbitrary<SchemaSample> {
  return fc.tuple(items, fc.nat(3)).map(([{ schema, value }, length]) => ({
    schema: s.array(schema, length) as Schema<unknown>,
    value: Array.from({ length }, () => value),
  }));
}

function tuples(items: fc.Arbitrary<SchemaSample>): fc.Arbitrary<SchemaSample> {
  return fc.array(items, { maxLength: 4 }).map((samples) => ({
    schema: s.tuple(...samples.map(({ schema }) => schema)) as Schema<unknown>,
    value: samples.map(({ value }) => value),
  }));
}

function records(items: fc.Arbitrary<SchemaSample>): fc.Arbitrary<SchemaSample> {
  const field = fc.record({
    name: fc.stringMatching(/^[a-z][A-Za-z0-9_]{2,8}$/),
    sample: items,
    presence: fc.constantFrom('must', 'is', 'not'),
  });
  return fc
    .uniqueArray(field, { maxLength: 5, selector: ({ name }) => name })
    .map((list) => list.filter(({ name }) => !(name in {})))
    .map((list) => {
      const fields = list.map(({ name, sample, presence }): [string, Schema<unknown> | OptionalField<unknown>] => [
        name,
        presence === 'must' ? sample.schema : s.optional(sample.schema),
      ]);
      const present = list.filter(({ presence }) => presence !== 'not');
      return {
        schema: s.record(Object.fromEntries(fields)),
        value: Object.fromEntries(present.map(({ name, sample }) => [name, sample.value])),
      };
    });
}
