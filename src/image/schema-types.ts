import type { FieldPath } from './path.ts';

/** A schema as data, for whoever walks over a value: inspect, the documentation. */
export type Shape =
  | { readonly type: 'uint' | 'int'; readonly max: number }
  | { readonly type: 'u64' | 'i64' | 'bool' | 'any' }
  | { readonly type: 'bytes' | 'text'; readonly max: number }
  | { readonly type: 'oneOf'; readonly values: readonly string[] }
  | { readonly type: 'objref'; readonly kinds: readonly string[] }
  | { readonly type: 'hex'; readonly of: Shape }
  | { readonly type: 'array'; readonly item: Shape; readonly max: number }
  | { readonly type: 'tuple'; readonly items: readonly Shape[] }
  | { readonly type: 'record'; readonly fields: readonly FieldShape[] };

export interface FieldShape {
  readonly name: string;
  readonly optional: boolean;
  readonly shape: Shape;
}

export interface Schema<T> {
  readonly shape: Shape;
  /** The value in memory for what CBOR brought; `path.fail` for anything that does not fit. */
  decode(value: unknown, path: FieldPath): T;
  /** The inverse, with the same checks. */
  encode(value: T, path: FieldPath): unknown;
}

/** The type of the values that a schema describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

export interface OptionalField<T> {
  readonly optional: true;
  readonly schema: Schema<T>;
}

export type Fields = Readonly<Record<string, Schema<unknown> | OptionalField<unknown>>>;

type OptionalNames<F extends Fields> = { [K in keyof F]: F[K] extends OptionalField<unknown> ? K : never }[keyof F];

/** Turns an intersection into one readable object type. */
type Flat<T> = { [K in keyof T]: T[K] };

export type RecordValue<F extends Fields> = Flat<
  { readonly [K in Exclude<keyof F, OptionalNames<F>>]: Infer<F[K]> } & {
    readonly [K in OptionalNames<F>]?: (F[K] extends OptionalField<infer T> ? T : never) | undefined;
  }
>;

export type TupleValue<S extends readonly Schema<unknown>[]> = { readonly [I in keyof S]: Infer<S[I]> };
