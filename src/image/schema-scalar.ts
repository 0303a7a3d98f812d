import type { FieldPath } from './path.ts';
import { typeName } from './path.ts';
import type { Schema, Shape } from './schema-types.ts';

/** A schema whose values are the same in memory and in CBOR: one check serves both ways. */
function checked<T>(shape: Shape, check: (value: unknown, path: FieldPath) => T): Schema<T> {
  return { shape, decode: check, encode: check };
}

export function integers(min: number, max: number): Schema<number> {
  return checked({ type: min === 0 ? 'uint' : 'int', max }, (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value))
      return path.fail(`expected a number, found ${typeName(value)}`);
    if (value < min || value > max) return path.fail(`${value} is not within ${min} and ${max}`);
    return value + 0; // -0 becomes 0
  });
}

export function wideIntegers(type: 'u64' | 'i64', min: bigint, max: bigint): Schema<bigint> {
  const inRange = (value: bigint, path: FieldPath): bigint => {
    if (value < min || value > max) return path.fail(`${value} is not within ${min} and ${max}`);
    return value;
  };
  return {
    shape: { type },
    decode: (value, path) => {
      if (typeof value === 'number') return inRange(BigInt(value), path);
      if (typeof value === 'bigint') return inRange(value, path);
      return path.fail(`expected a number, found ${typeName(value)}`);
    },
    encode: (value, path) => {
      if (typeof value !== 'bigint') return path.fail(`expected a bigint, found ${typeName(value)}`);
      return inRange(value, path);
    },
  };
}

export function booleans(): Schema<boolean> {
  return checked({ type: 'bool' }, (value, path) => {
    return typeof value === 'boolean' ? value : path.fail(`expected a boolean, found ${typeName(value)}`);
  });
}

export function byteStrings(max: number): Schema<Uint8Array> {
  return checked({ type: 'bytes', max }, (value, path) => {
    if (!(value instanceof Uint8Array)) return path.fail(`expected bytes, found ${typeName(value)}`);
    if (value.length > max) return path.fail(`${value.length} bytes, at most ${max} are allowed`);
    return value;
  });
}

const encoder = new TextEncoder();

export function texts(max: number): Schema<string> {
  return checked({ type: 'text', max }, (value, path) => {
    if (typeof value !== 'string') return path.fail(`expected text, found ${typeName(value)}`);
    // One UTF-16 unit is one to three bytes of UTF-8: most texts need not be measured.
    if (value.length * 3 > max && (value.length > max || encoder.encode(value).length > max)) {
      return path.fail(`text longer than ${max} bytes`);
    }
    if (/\p{Cs}/u.test(value)) return path.fail('text with half a surrogate pair');
    return value;
  });
}

export function choice<const T extends string>(...values: readonly T[]): Schema<T> {
  const allowed: ReadonlySet<unknown> = new Set(values);
  return checked({ type: 'oneOf', values }, (value, path) => {
    return allowed.has(value) ? (value as T) : path.fail(`expected one of ${values.join(', ')}, found ${typeName(value)}`);
  });
}

export function objrefs(...kinds: readonly string[]): Schema<number> {
  return checked({ type: 'objref', kinds }, (value, path) => {
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) {
      return path.fail(`expected an objref, found ${typeName(value)}`);
    }
    path.reference(value, kinds);
    return value;
  });
}

export function hexadecimal<T>(schema: Schema<T>): Schema<T> {
  return { ...schema, shape: { type: 'hex', of: schema.shape } };
}

export function anyValue(): Schema<unknown> {
  return checked({ type: 'any' }, (value) => value);
}
