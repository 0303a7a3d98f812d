/**
 * C structs as tables: size, and kind and offset of each field, with typed access over a DataView. Little-endian, as all
 * supported architectures are. A test compares every table in abi/ with what the C compiler makes of the header it names.
 */

/** Integer kinds, and `bytes` for arrays, unions and nested structs. Pointers are u64. */
export type Kind = 'u8' | 'u16' | 'u32' | 'i32' | 'u64' | 'i64' | 'bytes';

/** [kind, offset], and the length in bytes when the kind is `bytes`. */
export type Field =
  | readonly [kind: Exclude<Kind, 'bytes'>, offset: number]
  | readonly [kind: 'bytes', offset: number, length: number];

/** Fields by their C names; a field of a nested struct may be named by its designator: `it_value.tv_sec`. */
export type Fields = Readonly<Record<string, Field>>;

export type FieldValue<F extends Field> = F[0] extends 'bytes' ? Uint8Array : F[0] extends 'u64' | 'i64' ? bigint : number;

export type StructValues<F extends Fields> = { -readonly [N in keyof F]: FieldValue<F[N]> };

export interface StructTable<F extends Fields> {
  /** As C spells the type: `struct iovec`, `stack_t`. */
  readonly type: string;
  /** Header in which it is declared: `linux/uio.h`. */
  readonly header: string;
  readonly size: number;
  readonly fields: F;
  /** Given when headers in use may lack it: the C declaration, copied from the kernel, and the macro that came with it. */
  readonly recent?: { readonly macro: string; readonly declaration: string };
  /** `process.arch` on which the layout holds; any 64-bit one when absent. */
  readonly arch?: 'x64';
  /** The layout is that of 32-bit programs. */
  readonly bits?: 32;
}

export class Struct<F extends Fields> {
  readonly table: StructTable<F>;
  readonly size: number;

  constructor(table: StructTable<F>) {
    this.table = table;
    this.size = table.size;
  }

  /** Offset of a field from the start of the struct. */
  offset(name: keyof F): number {
    return this.#field(name)[1];
  }

  /** A field of the struct that starts at `at`. Bytes are a view on the same memory, not a copy. */
  get<N extends keyof F>(view: DataView, name: N, at: number = 0): FieldValue<F[N]> {
    return load(view, this.#field(name), at) as FieldValue<F[N]>;
  }

  /** RangeError for a value that the field cannot hold, where DataView would silently cut it. Short bytes are followed by zeros. */
  set<N extends keyof F>(view: DataView, name: N, value: FieldValue<F[N]>, at: number = 0): void {
    store(view, this.#field(name), at, value, `${this.table.type}.${String(name)}`);
  }

  /** All fields of the struct that starts at `at`. */
  read(view: DataView, at: number = 0): StructValues<F> {
    const values: Record<string, unknown> = {};
    for (const [name, field] of Object.entries(this.table.fields)) values[name] = load(view, field, at);
    return values as StructValues<F>;
  }

  /** Sets the fields that are given, and leaves the others as they are. */
  write(view: DataView, values: Partial<StructValues<F>>, at: number = 0): void {
    for (const [name, value] of Object.entries(values)) this.set(view, name, value as FieldValue<F[typeof name]>, at);
  }

  /** A new struct: the given fields, all else zero. */
  make(values: Partial<StructValues<F>> = {}): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.size);
    this.write(new DataView(bytes.buffer), values);
    return bytes;
  }

  /** All fields out of bytes that begin with the struct; RangeError when they are too few. */
  parse(bytes: Uint8Array): StructValues<F> {
    return this.read(viewOf(bytes));
  }

  #field(name: keyof F): Field {
    const field = this.table.fields[name];
    if (field === undefined) throw new TypeError(`${this.table.type} has no field ${String(name)}`);
    return field;
  }
}

/** A DataView on exactly these bytes. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Bytes that a field occupies. */
export function fieldSize(field: Field): number {
  return field[0] === 'bytes' ? field[2] : widths[field[0]];
}

const widths = { u8: 1, u16: 2, u32: 4, i32: 4, u64: 8, i64: 8 } as const;

function load(view: DataView, field: Field, base: number): number | bigint | Uint8Array {
  const at = base + field[1];
  switch (field[0]) {
    case 'u8':
      return view.getUint8(at);
    case 'u16':
      return view.getUint16(at, true);
    case 'u32':
      return view.getUint32(at, true);
    case 'i32':
      return view.getInt32(at, true);
    case 'u64':
      return view.getBigUint64(at, true);
    case 'i64':
      return view.getBigInt64(at, true);
    default:
      if (at + field[2] > view.byteLength) throw new RangeError('Offset is outside the bounds of the DataView');
      return new Uint8Array(view.buffer, view.byteOffset + at, field[2]);
  }
}

function store(view: DataView, field: Field, base: number, value: number | bigint | Uint8Array, name: string): void {
  const at = base + field[1];
  switch (field[0]) {
    case 'u8':
      return view.setUint8(at, checkedNumber(value, 0, 0xff, name));
    case 'u16':
      return view.setUint16(at, checkedNumber(value, 0, 0xffff, name), true);
    case 'u32':
      return view.setUint32(at, checkedNumber(value, 0, 0xffff_ffff, name), true);
    case 'i32':
      return view.setInt32(at, checkedNumber(value, -0x8000_0000, 0x7fff_ffff, name), true);
    case 'u64':
      return view.setBigUint64(at, checkedBigInt(value, 0n, 2n ** 64n - 1n, name), true);
    case 'i64':
      return view.setBigInt64(at, checkedBigInt(value, -(2n ** 63n), 2n ** 63n - 1n, name), true);
    case 'bytes': {
      if (!(value instanceof Uint8Array) || value.length > field[2]) {
        throw new RangeError(`${name} takes up to ${field[2]} bytes`);
      }
      const place = load(view, field, base) as Uint8Array;
      place.fill(0, value.length);
      place.set(value);
    }
  }
}

function checkedNumber(value: unknown, min: number, max: number, name: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw new RangeError(`${name} cannot hold ${String(value)}`);
}

function checkedBigInt(value: unknown, min: bigint, max: bigint, name: string): bigint {
  if (typeof value === 'bigint' && value >= min && value <= max) return value;
  throw new RangeError(`${name} cannot hold ${String(value)}`);
}
