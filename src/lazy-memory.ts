/** Which memory of an image can come late, and where it lies in the file. The same for whoever restarts and for the keeper. */
import { crc32 } from 'node:zlib';
import { ImageError } from './errors.ts';
import { readFully } from './descriptor.ts';
import { is, type ImageEvent } from './image/events.ts';
import type { LocalMemory } from './linux/ffi.ts';
import { pageSize, type Span } from './linux/pagemap.ts';
import { assertWithin, bytesOf, pages, unpack, type Pages } from './objects/pages.ts';
import { rangesOf } from './linux/process-memory.ts';
import { spansOf, vmaAnonymous, type AnonymousMapping } from './objects/vma-anonymous.ts';

/** Pages of a mapping. What is less comes at once: stacks, and what a program touches first. */
const worthWaiting = 256;

/** A record of pages, left in the file for now. */
export interface LateRecord extends Pages {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
}

export class LateMemory {
  readonly records: LateRecord[] = [];
  /** All of the mappings that such pages belong to. */
  readonly spans: Span[] = [];
  #open: readonly Span[] | undefined;

  /** Looks at every event of the image in order; true for a record of pages that can come late. */
  add(event: ImageEvent): boolean {
    if (event.type === 'close') {
      if (event.kind.tag === vmaAnonymous.record.tag) this.#open = undefined;
      return false;
    }
    if (is(event, vmaAnonymous.record)) {
      this.#open = mayWait(event.value) ? spansOf(event.value) : undefined;
      if (this.#open !== undefined) this.spans.push(...this.#open);
      return false;
    }
    if (this.#open === undefined || !is(event, pages.record)) return false;
    const { value, dataOffset: offset, dataLength: length, dataCrc: crc } = event;
    assertWithin(rangesOf(value.runs), this.#open);
    if (value.codec === undefined && bytesOf(value) !== length)
      throw new ImageError(`A record of ${bytesOf(value)} bytes of pages holds ${length}`, event.offset);
    this.records.push({ runs: value.runs, codec: value.codec, offset, length, crc });
    return true;
  }
}

function mayWait({ stored, locked, growsDown, hugePage, droppable }: AnonymousMapping): boolean {
  return stored >= worthWaiting && locked !== true && !growsDown && hugePage === undefined && droppable !== true;
}

/** Reads the data of a record from the file at its place, and checks it. */
export function readAt(
  fd: number,
  at: { readonly offset: number; readonly length: number; readonly crc: number },
  into: Uint8Array,
): Uint8Array {
  const data = into.subarray(0, at.length);
  if (readFully(fd, data, at.offset) < at.length) throw new ImageError('The image ends in the middle of its memory', at.offset);
  if (crc32(data) !== at.crc) throw new ImageError('Memory is damaged: its checksum does not match', at.offset);
  return data;
}

/** The content of a record, at the begin of `into`. */
export function readLate(fd: number, record: LateRecord, into: LocalMemory, scratch: LocalMemory): void {
  if (record.codec === undefined) readAt(fd, record, into.bytes);
  else into.bytes.set(unpack(record.codec, readAt(fd, record, scratch.bytes), bytesOf(record)));
}

/** A run of pages that have not come yet. */
export interface Segment {
  /** Page numbers. */
  page: number;
  count: number;
  readonly record: LateRecord;
  /** Which page of the record's content the first one is. */
  first: number;
}

export function segmentsOf(records: readonly LateRecord[]): Segment[] {
  const segments: Segment[] = [];
  for (const record of records) {
    let first = 0;
    for (const { address, length } of rangesOf(record.runs)) {
      const count = length / pageSize;
      segments.push({ page: Number(address) / pageSize, count, record, first });
      first += count;
    }
  }
  return segments.sort((a, b) => a.page - b.page);
}
