import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { ImageError } from '../errors.ts';
import { decodeCbor } from './cbor.ts';
import type { CloseEvent, ImageEvent, RecordEvent } from './events.ts';
import {
  checkMagic,
  dataAlignment,
  decodeHeader,
  decodePreamble,
  defaultLimits,
  flagIgnorable,
  flagOpen,
  headerSize,
} from './framing.ts';
import { type ImageLimits, paddingAt, preambleSize, type RecordHeader } from './framing.ts';
import { type Head, headKind } from './head.ts';
import { defineKind, endTag, firstFreeTag, type RecordKind } from './kind.ts';
import type { KindTable } from './kind-table.ts';
import { Nesting, SharedObjects } from './nesting.ts';
import { readingPath } from './path.ts';
import { printable } from './printable.ts';
import { s } from './schema.ts';
import { errorKind, type Failure, type Tail, tailKind } from './tail.ts';

/** What the reader wants next: a buffer filled wholly, or so many bytes passed over. */
export type ReadRequest = Uint8Array | { readonly skip: number };

/** Requests and events, mixed. A request is answered with the number of bytes that were filled; fewer = the input ended. */
export type ImageSteps = Generator<ReadRequest | ImageEvent, void, number>;

export interface ReaderOptions {
  /** 'check' (default): read data and check its crc32. 'read': leave the check to the caller. 'skip': pass over it. */
  readonly data?: 'check' | 'read' | 'skip';
  /** Where to read data to: gives a buffer of at least so many bytes. Default: one of the reader's own, used over and over. */
  readonly buffer?: (bytes: number) => Uint8Array;
  /** Records of unknown kinds that may be ignored: 'hide' (default), or 'show' them as kinds named `unknown-0x…`. */
  readonly unknown?: 'hide' | 'show';
  readonly limits?: Partial<ImageLimits>;
}

/**
 * Reads an image and trusts nothing in it; it does no input itself (see read-events.ts for that). Whatever is wrong is an
 * ImageError; memory stays within the limits whatever the image says. Nothing behind the tail is asked for.
 */
export class ImageReader {
  readonly #kinds: KindTable;
  readonly #options: ReaderOptions;
  readonly #limits: ImageLimits;
  readonly #digest = createHash('sha256');
  readonly #nesting: Nesting;
  readonly #objects = new SharedObjects();
  /** header and payload of the record at hand */
  #record = new Uint8Array(headerSize + 4096);
  #data = new Uint8Array(0);
  #offset = 0;
  #records = 0;
  #revision = 0;
  /** containers of unknown kinds around the record at hand */
  #unknownDepth = 0;

  constructor(kinds: KindTable, options: ReaderOptions = {}) {
    this.#kinds = kinds;
    this.#options = options;
    this.#limits = { ...defaultLimits, ...options.limits };
    this.#nesting = new Nesting(this.#limits.depth);
  }

  /** The events of the whole image; can be run once. */
  *events(): ImageSteps {
    const preamble = new Uint8Array(preambleSize);
    const filled = yield preamble;
    if (filled > 0) checkMagic(preamble.subarray(0, filled)); // a short file of another type is no image cut off
    this.#checkFilled(preamble, filled);
    this.#revision = decodePreamble(preamble);
    this.#digest.update(preamble);
    while (!this.#nesting.ended) {
      const offset = this.#offset;
      yield* this.#fill(this.#record.subarray(0, headerSize));
      const header = decodeHeader(this.#record, offset, this.#limits);
      const event = header.tag === endTag ? this.#close(header, offset) : yield* this.#enter(header, offset);
      this.#records++;
      if (event !== undefined) yield event;
    }
  }

  #close(header: RecordHeader, offset: number): CloseEvent | undefined {
    if (
      header.flags !== 0 ||
      header.objref !== 0 ||
      header.payloadLength !== 0 ||
      header.dataLength !== 0 ||
      header.payloadCrc !== 0
    ) {
      throw new ImageError('An END record has content', offset);
    }
    const kind = this.#nesting.leave();
    if (kind === undefined) throw new ImageError('An END record ends nothing', offset);
    this.#digest.update(this.#record.subarray(0, headerSize));
    const hidden = this.#unknownDepth > 0 && this.#options.unknown !== 'show';
    if (this.#unknownDepth > 0) this.#unknownDepth--;
    return hidden ? undefined : { type: 'close', kind, depth: this.#nesting.depth, offset, end: this.#offset };
  }

  *#enter(header: RecordHeader, offset: number): Generator<ReadRequest, RecordEvent | undefined, number> {
    // Inside a container of an unknown kind every kind is unknown, but for those of the format itself.
    const known = this.#unknownDepth > 0 && header.tag >= firstFreeTag ? undefined : this.#kinds.byTag(header.tag);
    const kind = known ?? this.#unknownKind(header, offset);
    const depth = this.#nesting.depth;
    this.#checkFrame(kind, header, offset);
    yield* this.#payload(header, offset);
    const value = this.#decode(kind, header, offset);
    if (header.objref !== 0) this.#objects.define(header.objref, kind);
    this.#checkMeaning(kind, value, offset);

    const dataOffset = this.#offset + (header.dataLength === 0 ? 0 : paddingAt(this.#offset));
    const data = kind.data ? yield* this.#readData(header, dataOffset) : undefined;
    if (known === undefined && kind.container) this.#unknownDepth++;
    if (known === undefined && this.#options.unknown !== 'show') return undefined;
    const { objref, dataLength, dataCrc } = header;
    const type = kind.container ? 'open' : 'leaf';
    return { type, kind, value, objref, depth, offset, end: this.#offset, dataOffset, dataLength, dataCrc, data };
  }

  /** What the header alone says: kind, place, objref. */
  #checkFrame(kind: RecordKind, header: RecordHeader, offset: number): void {
    const fail = (message: string): never => {
      throw new ImageError(message, offset);
    };
    if (((header.flags & flagOpen) !== 0) !== kind.container) {
      fail(`A ${kind.name} record ${kind.container ? 'does not open' : 'opens'} a container`);
    }
    if (header.dataLength > 0 && !kind.data) fail(`A ${kind.name} record has ${header.dataLength} bytes of data`);
    if (header.objref !== 0 && header.tag < firstFreeTag) fail(`A ${kind.name} record has an objref`);
    const refused = (header.objref === 0 ? undefined : this.#objects.taken(header.objref, kind)) ?? this.#nesting.enter(kind);
    if (refused !== undefined) fail(refused);
  }

  *#payload(header: RecordHeader, offset: number): Generator<ReadRequest, void, number> {
    const length = headerSize + header.payloadLength;
    if (this.#record.length < length) {
      const larger = new Uint8Array(Math.min(2 * length, headerSize + this.#limits.payload));
      larger.set(this.#record.subarray(0, headerSize));
      this.#record = larger;
    }
    const payload = this.#record.subarray(headerSize, length);
    if (payload.length > 0) yield* this.#fill(payload);
    if (crc32(payload) !== header.payloadCrc) throw new ImageError('A payload is damaged: its checksum does not match', offset);
    if (header.tag !== tailKind.tag) this.#digest.update(this.#record.subarray(0, length));
  }

  #decode(kind: RecordKind, header: RecordHeader, offset: number): unknown {
    let value: unknown;
    try {
      value = decodeCbor(this.#record.subarray(headerSize, headerSize + header.payloadLength));
    } catch (error) {
      // Only the CBOR library runs in here; it throws plain Errors, whatever the bytes.
      const reason = printable(error instanceof Error ? error.message : String(error), 200);
      throw new ImageError(`The payload of a ${kind.name} record is not CBOR as images use it: ${reason}`, offset, kind.name);
    }
    return kind.schema.decode(value, readingPath(kind.name, offset, this.#objects.check));
  }

  /** The rules of the format's own records, which a schema cannot tell. */
  #checkMeaning(kind: RecordKind, value: unknown, offset: number): void {
    if (kind === headKind) this.#checkHead(value as Head, offset);
    if (kind === errorKind) {
      const message = printable((value as Failure).message, 2000);
      throw new ImageError(`The image is not whole, its checkpoint failed: ${message}`, offset);
    }
    if (kind !== tailKind) return;
    const tail = value as Tail;
    if (tail.records !== this.#records) {
      throw new ImageError(`The tail counts ${tail.records} records, there are ${this.#records}`, offset, 'tail.records');
    }
    if (tail.bytes !== offset)
      throw new ImageError(`The tail counts ${tail.bytes} bytes, there are ${offset}`, offset, 'tail.bytes');
    const digest = this.#digest.digest();
    if (!digest.equals(tail.digest))
      throw new ImageError('The digest in the tail does not match the image', offset, 'tail.digest');
  }

  #checkHead(head: Head, offset: number): void {
    const { revision, pageSize } = head;
    if (revision !== this.#revision) throw new ImageError('Head and preamble name different revisions', offset, 'head.revision');
    if (pageSize < dataAlignment || (pageSize & (pageSize - 1)) !== 0) {
      throw new ImageError(`${pageSize} is no page size`, offset, 'head.pageSize');
    }
  }

  *#readData(header: RecordHeader, dataOffset: number): Generator<ReadRequest, Uint8Array | undefined, number> {
    const length = header.dataLength;
    const padding = dataOffset - this.#offset;
    if (this.#options.data === 'skip') {
      this.#offset += padding + length;
      if (length > 0) yield { skip: padding + length };
      return undefined;
    }
    if (padding > 0) {
      // The payload is decoded, its room is free; bytes that must be zero are not worth another buffer.
      const gap = this.#room(padding);
      yield* this.#fill(gap);
      if (gap.some((byte) => byte !== 0)) throw new ImageError('The padding before the data is not zero', dataOffset - padding);
    }
    const data = this.#dataBuffer(length).subarray(0, length);
    if (length > 0) yield* this.#fill(data);
    if (this.#options.data !== 'read' && crc32(data) !== header.dataCrc) {
      throw new ImageError('Data is damaged: its checksum does not match', dataOffset);
    }
    return data;
  }

  #room(bytes: number): Uint8Array {
    return this.#record.subarray(0, bytes);
  }

  #dataBuffer(bytes: number): Uint8Array {
    if (this.#options.buffer !== undefined) return this.#options.buffer(bytes);
    if (this.#data.length < bytes) this.#data = new Uint8Array(Math.max(bytes, Math.min(2 * bytes, this.#limits.data)));
    return this.#data;
  }

  /** A stand-in for a kind that this reader does not know. */
  #unknownKind(header: RecordHeader, offset: number): RecordKind {
    const tag = `0x${header.tag.toString(16)}`;
    if (header.tag === 0) throw new ImageError('A record has tag 0', offset);
    if ((header.flags & flagIgnorable) === 0 && this.#unknownDepth === 0) {
      throw new ImageError(`The image holds a record of unknown kind ${tag}`, offset, '', {
        hint: 'It was written by a newer Stasis: read it with that version.',
      });
    }
    const container = (header.flags & flagOpen) !== 0;
    if (container && header.dataLength > 0)
      throw new ImageError(`A record of unknown kind ${tag} has both data and content`, offset);
    return defineKind({
      tag: header.tag,
      name: `unknown-${tag}`,
      schema: s.any(),
      container,
      data: header.dataLength > 0,
      ignorable: (header.flags & flagIgnorable) !== 0,
      parents: [this.#nesting.place],
    });
  }

  *#fill(into: Uint8Array): Generator<ReadRequest, void, number> {
    this.#checkFilled(into, yield into);
  }

  #checkFilled(into: Uint8Array, filled: number): void {
    if (filled < into.length) {
      const at = this.#offset + filled;
      throw new ImageError(at === 0 ? 'The image is empty' : 'The image is cut off: it ends without its tail record', at);
    }
    this.#offset += into.length;
  }
}
