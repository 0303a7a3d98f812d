import { ImageError } from '../errors.ts';
import { printable } from './printable.ts';

/** Answers whether a reference may stand: undefined when the object is there and of a wanted kind, else what is wrong. */
export type ReferenceCheck = (objref: number, kinds: readonly string[]) => string | undefined;

type Failure = (message: string, path: string) => Error;

/**
 * Where in a payload a schema is at work, e.g. `vma.file.path` or `task.ids[2]`: gives its errors their place. A schema
 * pushes before it goes down and pops when it is back; after a failure nobody goes on, so nothing needs to be undone.
 */
export class FieldPath {
  readonly #names: (string | number)[];
  readonly #failure: Failure;
  readonly #check: ReferenceCheck | undefined;

  constructor(root: string, failure: Failure, check?: ReferenceCheck) {
    this.#names = [root];
    this.#failure = failure;
    this.#check = check;
  }

  push(name: string | number): void {
    this.#names.push(name);
  }

  pop(): void {
    this.#names.pop();
  }

  fail(message: string): never {
    throw this.#failure(message, this.toString());
  }

  /** A reference to a shared object was met. */
  reference(objref: number, kinds: readonly string[]): void {
    const wrong = this.#check?.(objref, kinds);
    if (wrong !== undefined) this.fail(wrong);
  }

  toString(): string {
    return this.#names.map((name, index) => (typeof name === 'number' ? `[${name}]` : index === 0 ? name : `.${name}`)).join('');
  }
}

/** For decoding: what does not fit is a damaged image. */
export function readingPath(root: string, offset: number, check?: ReferenceCheck): FieldPath {
  return new FieldPath(root, (message, path) => new ImageError(message, offset, path), check);
}

/** For encoding: what does not fit is our own mistake. */
export function writingPath(root: string, check?: ReferenceCheck): FieldPath {
  return new FieldPath(root, (message, path) => new TypeError(`Cannot write ${path}: ${message}`), check);
}

/** What a value is, in an error message. */
export function typeName(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (value instanceof Map) return 'a record';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (typeof value === 'string') return `text "${printable(value, 40)}"`;
  if (typeof value === 'object' && value !== null) return 'an object';
  return `${typeof value === 'bigint' ? 'number' : typeof value} ${String(value)}`;
}
