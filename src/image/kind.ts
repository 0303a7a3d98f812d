import type { Schema } from './schema-types.ts';

/** What stands at the top level of an image, in the place of a kind's name. */
export const topLevel = 'image';

/** Tags from 1 to 15, and 0xffff, belong to the format itself. */
export const firstFreeTag = 16;
export const endTag = 0xffff;

/** A kind of record: its number in the format, its payload and where it may stand. Names and tags are never reused. */
export interface RecordKind<T = unknown> {
  readonly tag: number;
  readonly name: string;
  readonly schema: Schema<T>;
  /** other records stand inside it, up to its END record */
  readonly container: boolean;
  /** bytes follow its payload, page aligned */
  readonly data: boolean;
  /** written so that a reader that does not know the kind passes over it */
  readonly ignorable: boolean;
  /** names of the containers it may stand in; 'image' is the top level */
  readonly parents: readonly string[];
  /** The rest of its line in `inspect`, when its fields alone do not read well. */
  title?(value: T): string;
  /** Bytes of memory that its data stands for, where that can be compressed. */
  memory?(value: T): number;
}

export interface KindDefinition<T> {
  readonly tag: number;
  readonly name: string;
  readonly schema: Schema<T>;
  readonly container?: boolean;
  readonly data?: boolean;
  readonly ignorable?: boolean;
  readonly parents: readonly string[];
  title?(value: T): string;
  memory?(value: T): number;
}

export function defineKind<T>(definition: KindDefinition<T>): RecordKind<T> {
  const { tag, name, container = false, data = false, ignorable = false } = definition;
  if (!Number.isInteger(tag) || tag < 1 || tag >= endTag) throw new TypeError(`Kind ${name} has tag ${tag}`);
  if (container && data) throw new TypeError(`Kind ${name} cannot be a container and have data`);
  if (definition.parents.length === 0) throw new TypeError(`Kind ${name} may stand nowhere`);
  return { ...definition, container, data, ignorable };
}
