import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { decodeCbor, encodeCbor, maxCborItems } from './cbor.ts';
import {
  dataAlignment,
  defaultLimits,
  encodeHeader,
  encodePreamble,
  flagIgnorable,
  flagOpen,
  headerSize,
  paddingAt,
  preambleSize,
} from './framing.ts';
import { type Head, headKind } from './head.ts';
import { endTag, type RecordKind } from './kind.ts';
import { Nesting, SharedObjects } from './nesting.ts';
import { writingPath } from './path.ts';
import { errorKind, maxErrorMessage, tailKind } from './tail.ts';

/** Where an image goes. */
export interface ByteSink {
  /** Writes all parts, in this order, or throws. The parts belong to the writer again when the call returns. */
  write(parts: readonly Uint8Array[]): void;
}

/** What was written, or read, all in all: the whole image, its tail included. */
export interface ImageTotals {
  readonly records: number;
  readonly bytes: number;
  /** the tail's digest in hexadecimal */
  readonly digest: string;
}

const stagingSize = 64 << 10;
const zeros = new Uint8Array(dataAlignment);
const noBytes = new Uint8Array(0);

/**
 * Writes an image record by record, forward only. Small records are gathered and go out together, so the sink is called
 * once for each record with data, and a few times for all the others. Wrong use (a record where it may not stand, a value
 * that its schema refuses) is a TypeError or Error and leaves the image as it was.
 */
export class ImageWriter {
  readonly #sink: ByteSink;
  readonly #digest = createHash('sha256');
  readonly #nesting = new Nesting(defaultLimits.depth);
  readonly #objects = new SharedObjects();
  /** Preamble, headers and payloads that wait to be written: just what the digest covers. */
  readonly #staging = new Uint8Array(stagingSize);
  #staged = 0;
  #offset = 0;
  #records = 0;
  #state: 'writing' | 'ended' | 'broken' = 'writing';

  constructor(sink: ByteSink, head: Head) {
    this.#sink = sink;
    this.#staging.set(encodePreamble(head.revision));
    this.#staged = preambleSize;
    this.#offset = preambleSize;
    this.write(headKind, head);
  }

  /** Bytes of the image so far, those not handed to the sink yet included. */
  get offset(): number {
    return this.#offset;
  }

  /** Writes a record that has no others inside it and no data. */
  write<T>(kind: RecordKind<T>, value: T, objref = 0): void {
    if (kind.container || kind.data)
      throw new TypeError(`A ${kind.name} record is written with ${kind.container ? 'open' : 'data'}()`);
    this.#record(kind, value, objref, noBytes, 0);
  }

  /** Begins a container; the records up to the matching {@link close} stand inside it. */
  open<T>(kind: RecordKind<T>, value: T, objref = 0): void {
    if (!kind.container) throw new TypeError(`A ${kind.name} record is no container`);
    this.#record(kind, value, objref, noBytes, 0);
  }

  /** Ends the innermost container. */
  close(): void {
    this.#assertWriting();
    if (this.#nesting.leave() === undefined) throw new Error('No container is open');
    this.#frame(endTag, 0, 0, noBytes, noBytes, 0);
  }

  /**
   * Writes a record with its data, at most 4 MiB, page aligned in the image. The data goes to the sink as it is, without
   * a copy. Who has its crc32 already (computed on another thread) passes it.
   */
  data<T>(kind: RecordKind<T>, value: T, data: Uint8Array, crc: number = crc32(data)): void {
    if (!kind.data) throw new TypeError(`A ${kind.name} record has no data`);
    if (data.length > defaultLimits.data)
      throw new TypeError(`${data.length} bytes of data in one record, at most ${defaultLimits.data}`);
    this.#record(kind, value, 0, data, crc);
  }

  /** Ends an image that cannot be finished with an error record, unless the sink itself had failed. */
  fail(message: string): void {
    if (this.#state !== 'writing') return;
    const text = message.slice(0, maxErrorMessage).replace(/\p{Cs}/gu, '\ufffd');
    this.#record(errorKind, { message: text }, 0, noBytes, 0);
    this.#flush();
    this.#state = 'ended';
  }

  /** Writes the tail; the image is whole then. */
  finish(): ImageTotals {
    this.#assertWriting();
    if (this.#nesting.depth > 0) throw new Error(`The ${this.#nesting.place} record is still open`);
    this.#flush();
    const digest = this.#digest.copy().digest();
    this.#record(tailKind, { records: this.#records, bytes: this.#offset, digest }, 0, noBytes, 0);
    this.#flush();
    this.#state = 'ended';
    return { records: this.#records, bytes: this.#offset, digest: digest.toString('hex') };
  }

  #record<T>(kind: RecordKind<T>, value: T, objref: number, data: Uint8Array, dataCrc: number): void {
    this.#assertWriting();
    const payload = encodeCbor(kind.schema.encode(value, writingPath(kind.name, this.#objects.check)));
    if (payload.length > defaultLimits.payload)
      throw new TypeError(`${payload.length} bytes of payload in a ${kind.name} record`);
    // What a reader would refuse is not written; smaller payloads cannot hold too much.
    if (payload.length > maxCborItems) decodeCbor(payload);
    if (objref > defaultLimits.objref) throw new TypeError(`Objref ${objref} of a ${kind.name} record is too high`);
    const refused = (objref === 0 ? undefined : this.#objects.taken(objref, kind)) ?? this.#nesting.enter(kind);
    if (refused !== undefined) throw new TypeError(refused);
    if (objref !== 0) this.#objects.define(objref, kind);
    const flags = (kind.container ? flagOpen : 0) | (kind.ignorable ? flagIgnorable : 0);
    this.#frame(kind.tag, flags, objref, payload, data, dataCrc);
  }

  #frame(tag: number, flags: number, objref: number, payload: Uint8Array, data: Uint8Array, dataCrc: number): void {
    const room = headerSize + payload.length;
    const start = this.#stage(room);
    const header = {
      tag,
      flags,
      objref,
      payloadLength: payload.length,
      dataLength: data.length,
      payloadCrc: crc32(payload),
      dataCrc,
    };
    encodeHeader(this.#staging, start, header);
    this.#offset += room;
    this.#records++;
    if (start + room <= stagingSize) {
      this.#staging.set(payload, start + headerSize);
      this.#staged = start + room;
      if (data.length > 0) this.#flush(noBytes, data);
    } else {
      this.#staged = start + headerSize;
      this.#flush(payload, data);
    }
  }

  /** Makes room for this many bytes, or at least for a header; answers where it begins. */
  #stage(room: number): number {
    if (this.#staged + room > stagingSize) this.#flush();
    return this.#staged;
  }

  #flush(payload: Uint8Array = noBytes, data: Uint8Array = noBytes): void {
    const parts: Uint8Array[] = [];
    for (const part of [this.#staging.subarray(0, this.#staged), payload]) {
      if (part.length === 0) continue;
      this.#digest.update(part);
      parts.push(part);
    }
    if (data.length > 0) {
      const padding = paddingAt(this.#offset);
      if (padding > 0) parts.push(zeros.subarray(0, padding));
      parts.push(data);
      this.#offset += padding + data.length;
    }
    if (parts.length === 0) return;
    const state = this.#state;
    this.#state = 'broken'; // for good, when the sink throws: nobody knows how much it took
    this.#sink.write(parts);
    this.#state = state;
    this.#staged = 0;
  }

  #assertWriting(): void {
    if (this.#state !== 'writing')
      throw new Error(this.#state === 'ended' ? 'The image has ended' : 'The image was cut off by a failed write');
  }
}
