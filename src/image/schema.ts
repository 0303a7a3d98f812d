/**
 * A schema is a value: it validates and converts what CBOR brought, and the TypeScript type, the rendering in `inspect`
 * and the description in the documentation follow from it.
 *
 *     const schema = s.record({ pid: s.uint(), name: s.text(16), umask: s.optional(s.hex(s.uint(0o777))) });
 *     type Task = Infer<typeof schema>; // { pid: number; name: string; umask?: number }
 *
 * Law: decode(encode(value)) equals value; encode refuses whatever decode would.
 */
import { arrayOf, recordOf, tupleOf } from './schema-composite.ts';
import { anyValue, booleans, byteStrings, choice, hexadecimal, integers, objrefs, texts, wideIntegers } from './schema-scalar.ts';
import type { Fields, OptionalField, RecordValue, Schema, TupleValue } from './schema-types.ts';

export type { Fields, Infer, OptionalField, RecordValue, Schema, Shape, TupleValue } from './schema-types.ts';
export { unknownFields, unknownFieldsOf } from './schema-composite.ts';

interface Combinators {
  /** A number from 0 to `max`, at most 2^53 - 1. */
  uint(max?: number): Schema<number>;
  /** A number within ±(2^53 - 1). */
  int(): Schema<number>;
  /** From 0 to 2^64 - 1, always a bigint in memory however short its encoding. */
  u64(): Schema<bigint>;
  /** From -2^63 to 2^63 - 1, always a bigint. */
  i64(): Schema<bigint>;
  bool(): Schema<boolean>;
  /** At most `max` bytes. Decoded bytes are a copy, the caller's to keep. */
  bytes(max: number): Schema<Uint8Array>;
  /** Unicode text of at most `max` bytes of UTF-8. What the kernel gives as bytes (paths!) need not be that: use bytes. */
  text(max: number): Schema<string>;
  oneOf<const T extends string>(...values: readonly T[]): Schema<T>;
  /** The number of a shared object that stands earlier in the image, of one of these kinds (of any, when none is named). */
  objref(...kinds: readonly string[]): Schema<number>;
  array<T>(item: Schema<T>, max: number): Schema<readonly T[]>;
  /** Exactly these values in this order. */
  tuple<const S extends readonly Schema<unknown>[]>(...items: S): Schema<TupleValue<S>>;
  /** Named fields. Fields that the schema does not name are kept, see {@link unknownFieldsOf}, and written again. */
  record<const F extends Fields>(fields: F): Schema<RecordValue<F>>;
  /** Marks a field of a record that may be absent. */
  optional<T>(schema: Schema<T>): OptionalField<T>;
  /** The numbers in it are shown in hexadecimal. */
  hex<T>(schema: Schema<T>): Schema<T>;
  /** Any value that CBOR in images can hold; records become Maps. */
  any(): Schema<unknown>;
}

export const s: Combinators = {
  uint: (max = Number.MAX_SAFE_INTEGER) => integers(0, max),
  int: () => integers(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  u64: () => wideIntegers('u64', 0n, (1n << 64n) - 1n),
  i64: () => wideIntegers('i64', -(1n << 63n), (1n << 63n) - 1n),
  bool: booleans,
  bytes: byteStrings,
  text: texts,
  oneOf: choice,
  objref: objrefs,
  array: arrayOf,
  tuple: tupleOf,
  record: recordOf,
  optional: (schema) => ({ optional: true, schema }),
  hex: hexadecimal,
  any: anyValue,
};
