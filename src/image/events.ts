import type { RecordKind } from './kind.ts';

/** A record of the image: a leaf, or the begin of a container. */
export interface RecordEvent<T = unknown> {
  readonly type: 'open' | 'leaf';
  readonly kind: RecordKind<T>;
  readonly value: T;
  /** 0 = defines no shared object */
  readonly objref: number;
  /** containers around it */
  readonly depth: number;
  /** where the record begins in the image */
  readonly offset: number;
  /** where the next one begins */
  readonly end: number;
  /** where its data begins; `end` when it has none */
  readonly dataOffset: number;
  readonly dataLength: number;
  readonly dataCrc: number;
  /** The data, for a kind that has data and unless the reader skips it. Valid until the next event is asked for. */
  readonly data: Uint8Array | undefined;
}

/** The end of a container; depth as at its begin, offset and end are those of the END record. */
export interface CloseEvent {
  readonly type: 'close';
  readonly kind: RecordKind;
  readonly depth: number;
  readonly offset: number;
  readonly end: number;
}

export type ImageEvent = RecordEvent | CloseEvent;

/** Whether the event is the leaf or the begin of this kind; its value has the kind's type then. */
export function is<T>(event: ImageEvent, kind: RecordKind<T>): event is RecordEvent<T> {
  return event.type !== 'close' && event.kind.tag === kind.tag;
}
