import type { CborValue } from './cbor.ts';
import type { FieldPath } from './path.ts';
import { typeName } from './path.ts';
import type { Fields, RecordValue, Schema, TupleValue } from './schema-types.ts';

export function arrayOf<T>(item: Schema<T>, max: number): Schema<readonly T[]> {
  const check = (value: unknown, path: FieldPath): readonly unknown[] => {
    if (!Array.isArray(value)) return path.fail(`expected an array, found ${typeName(value)}`);
    if (value.length > max) return path.fail(`${value.length} items, at most ${max} are allowed`);
    return value;
  };
  return {
    shape: { type: 'array', item: item.shape, max },
    decode: (value, path) => each(check(value, path), path, (entry) => item.decode(entry, path)),
    encode: (value, path) => each(check(value, path), path, (entry) => item.encode(entry as T, path)),
  };
}

export function tupleOf<const S extends readonly Schema<unknown>[]>(...items: S): Schema<TupleValue<S>> {
  const check = (value: unknown, path: FieldPath): readonly unknown[] => {
    if (!Array.isArray(value)) return path.fail(`expected an array of ${items.length}, found ${typeName(value)}`);
    if (value.length !== items.length) return path.fail(`${value.length} items, exactly ${items.length} are expected`);
    return value;
  };
  return {
    shape: { type: 'tuple', items: items.map((item) => item.shape) },
    decode: (value, path) =>
      each(check(value, path), path, (entry, index): unknown => items[index]?.decode(entry, path)) as unknown as TupleValue<S>,
    encode: (value, path) => each(check(value, path), path, (entry, index): unknown => items[index]?.encode(entry, path)),
  };
}

function each<T>(values: readonly unknown[], path: FieldPath, convert: (value: unknown, index: number) => T): T[] {
  return values.map((value, index) => {
    path.push(index);
    const converted = convert(value, index);
    path.pop();
    return converted;
  });
}

/** Under this symbol a decoded record keeps the fields that its schema does not name; a copy by spread keeps them too. */
export const unknownFields: unique symbol = Symbol('unknown fields');

/** The fields of a decoded record that its schema does not name: written by a newer Stasis. */
export function unknownFieldsOf(value: unknown): ReadonlyMap<string, CborValue> {
  if (typeof value !== 'object' || value === null) return noFields;
  return (value as { [unknownFields]?: ReadonlyMap<string, CborValue> })[unknownFields] ?? noFields;
}

const noFields: ReadonlyMap<string, CborValue> = new Map();

interface Field {
  readonly name: string;
  readonly optional: boolean;
  readonly schema: Schema<unknown>;
}

export function recordOf<const F extends Fields>(fields: F): Schema<RecordValue<F>> {
  const list: readonly Field[] = Object.entries(fields).map(([name, field]) => {
    // An object orders its integer-like keys itself, and a few names mean something else.
    if (!/^[a-z][A-Za-z0-9_]*$/.test(name) || name in {}) throw new TypeError(`A field cannot be called ${name}`);
    return 'optional' in field ? { name, optional: true, schema: field.schema } : { name, optional: false, schema: field };
  });
  const names: ReadonlySet<string> = new Set(list.map((field) => field.name));
  return {
    shape: { type: 'record', fields: list.map(({ name, optional, schema }) => ({ name, optional, shape: schema.shape })) },
    decode: (value, path) => decodeRecord(list, names, value, path) as RecordValue<F>,
    encode: (value, path) => encodeRecord(list, names, value, path),
  };
}

function decodeRecord(list: readonly Field[], names: ReadonlySet<string>, value: unknown, path: FieldPath): object {
  if (!(value instanceof Map)) return path.fail(`expected a record, found ${typeName(value)}`);
  const source = value as ReadonlyMap<string, CborValue>;
  const result: Record<string | symbol, unknown> = {};
  let known = 0;
  for (const { name, optional, schema } of list) {
    const item = source.get(name);
    if (item === undefined) {
      if (!optional) return path.fail(`field ${name} is missing`);
      continue;
    }
    known++;
    path.push(name);
    result[name] = schema.decode(item, path);
    path.pop();
  }
  if (known < source.size) result[unknownFields] = new Map([...source].filter(([name]) => !names.has(name)));
  return result;
}

function encodeRecord(list: readonly Field[], names: ReadonlySet<string>, value: unknown, path: FieldPath): Map<string, unknown> {
  if (typeof value !== 'object' || value === null) return path.fail(`expected a record, found ${typeName(value)}`);
  const source = value as Readonly<Record<string, unknown>>;
  const result = new Map<string, unknown>();
  for (const { name, optional, schema } of list) {
    const item = source[name];
    if (item === undefined) {
      if (!optional) return path.fail(`field ${name} is missing`);
      continue;
    }
    path.push(name);
    result.set(name, schema.encode(item, path));
    path.pop();
  }
  for (const [name, item] of unknownFieldsOf(value)) {
    if (!names.has(name)) result.set(name, item);
  }
  return result;
}
