import type { FieldShape, Shape } from './schema-types.ts';
import { unknownFieldsOf } from './schema-composite.ts';

export type JsonValue = string | number | boolean | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** Before the name of a field that the schema does not know. No field of a schema can begin with it. */
const unknownMark = '?';

/**
 * A decoded value as JSON: numbers of 64 bits as decimal text, what the schema marks as hexadecimal as `0x…`, bytes as
 * hexadecimal digits. `value` must be what a schema of this shape decoded.
 */
export function toJson(shape: Shape, value: unknown, hex = false): JsonValue {
  switch (shape.type) {
    case 'hex':
      return toJson(shape.of, value, true);
    case 'array':
      return (value as readonly unknown[]).map((item) => toJson(shape.item, item, hex));
    case 'tuple':
      return (value as readonly unknown[]).map((item, index) => toJson(shape.items[index] ?? anyShape, item, hex));
    case 'record':
      return recordToJson(shape.fields, value as Readonly<Record<string, unknown>>, hex);
    default:
      return plainToJson(value, hex);
  }
}

const anyShape: Shape = { type: 'any' };

function recordToJson(fields: readonly FieldShape[], value: Readonly<Record<string, unknown>>, hex: boolean): JsonValue {
  const known = fields
    .filter(({ name }) => value[name] !== undefined)
    .map(({ name, shape }): [string, JsonValue] => [name, toJson(shape, value[name], hex)]);
  const unknown = [...unknownFieldsOf(value)].map(([name, item]): [string, JsonValue] => [
    `${unknownMark}${name}`,
    plainToJson(item, false),
  ]);
  return Object.fromEntries([...known, ...unknown]);
}

/** A value as CBOR brought it, or a scalar that a schema decoded. */
function plainToJson(value: unknown, hex: boolean): JsonValue {
  if (typeof value === 'bigint' || (typeof value === 'number' && hex)) return hex ? hexadecimal(BigInt(value)) : String(value);
  if (value instanceof Uint8Array) return hexDigits(value);
  if (Array.isArray(value)) return value.map((item) => plainToJson(item, hex));
  if (value instanceof Map) {
    const entries = value as ReadonlyMap<string, unknown>;
    return Object.fromEntries([...entries].map(([name, item]) => [name, plainToJson(item, hex)]));
  }
  return value as string | number | boolean;
}

function hexadecimal(value: bigint): string {
  return value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;
}

const digits: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function hexDigits(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += digits[byte];
  return text;
}
