import { defineKind, type RecordKind, topLevel } from './kind.ts';
import { s } from './schema.ts';

/** The last record; an image without it is not whole. It counts what stands before it. */
export interface Tail {
  /** records before this one, END records counted */
  readonly records: number;
  /** bytes before this record */
  readonly bytes: number;
  /** SHA-256 over preamble, and headers and payloads of all records before this one */
  readonly digest: Uint8Array;
}

export const tailKind: RecordKind<Tail> = defineKind<Tail>({
  tag: 2,
  name: 'tail',
  parents: [topLevel],
  schema: s.record({ records: s.uint(), bytes: s.uint(), digest: s.bytes(32) }),
});

/** Ends an image that could not be finished, wherever it got to; no tail follows. */
export interface Failure {
  readonly message: string;
}

export const errorKind: RecordKind<Failure> = defineKind<Failure>({
  tag: 3,
  name: 'error',
  parents: [topLevel],
  schema: s.record({ message: s.text(1 << 16) }),
});

/** UTF-16 units of a message that are written; as UTF-8 they fit the schema. */
export const maxErrorMessage = 16_384;
