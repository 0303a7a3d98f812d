/**
 * An image taken apart into its records, and put together again with everything right that is not said to be wrong:
 * checksums, padding, and the totals and the digest in the tail. So a test can change what it wants to reach.
 */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { decodeCbor, encodeCbor } from '../cbor.ts';
import { decodeHeader, defaultLimits, encodeHeader, headerSize, paddingAt, preambleSize, type RecordHeader } from '../framing.ts';
import { tailKind } from '../tail.ts';

export interface RawRecord {
  readonly tag: number;
  readonly flags: number;
  readonly objref: number;
  readonly payload: Uint8Array;
  readonly data: Uint8Array;
  /** Fields of the header that are not to be computed. */
  readonly header?: Partial<RecordHeader>;
}

export interface RawImage {
  readonly preamble: Uint8Array;
  readonly records: readonly RawRecord[];
}

/** The records of a sound image; of the data in each at most `maxData` bytes are kept. */
export function takeApart(image: Uint8Array, maxData: number = defaultLimits.data): RawImage {
  const records: RawRecord[] = [];
  for (let offset = preambleSize; offset < image.length;) {
    const { tag, flags, objref, payloadLength, dataLength } = decodeHeader(image.subarray(offset), offset, defaultLimits);
    const payloadEnd = offset + headerSize + payloadLength;
    const dataStart = payloadEnd + (dataLength === 0 ? 0 : paddingAt(payloadEnd));
    offset = dataStart + dataLength;
    const data = image.slice(dataStart, dataStart + Math.min(dataLength, maxData));
    records.push({ tag, flags, objref, payload: image.slice(payloadEnd - payloadLength, payloadEnd), data });
  }
  return { preamble: image.slice(0, preambleSize), records };
}

/** The image of these records. `tail` false leaves the tail as it stands, right or wrong. */
export function putTogether(image: RawImage, { tail = true }: { readonly tail?: boolean } = {}): Uint8Array {
  const digest = createHash('sha256').update(image.preamble);
  const parts: Uint8Array[] = [image.preamble];
  let bytes = image.preamble.length;
  for (const [index, record] of image.records.entries()) {
    const payload =
      tail && record.tag === tailKind.tag ? correctTail(record, index, bytes, digest.copy().digest()) : record.payload;
    const header = headerBytes({ ...record, payload });
    digest.update(header).update(payload);
    const padding = record.data.length === 0 ? 0 : paddingAt(bytes + header.length + payload.length);
    parts.push(header, payload, new Uint8Array(padding), record.data);
    bytes += header.length + payload.length + padding + record.data.length;
  }
  // No Buffer: its slice() shares memory.
  return new Uint8Array(Buffer.concat(parts));
}

function headerBytes({ tag, flags, objref, payload, data, header }: RawRecord): Uint8Array {
  const bytes = new Uint8Array(headerSize);
  encodeHeader(bytes, 0, {
    tag,
    flags,
    objref,
    payloadLength: payload.length,
    dataLength: data.length,
    payloadCrc: crc32(payload),
    dataCrc: crc32(data),
    ...header,
  });
  return bytes;
}

function correctTail(record: RawRecord, records: number, bytes: number, digest: Uint8Array): Uint8Array {
  try {
    const value = decodeCbor(record.payload);
    if (!(value instanceof Map)) return record.payload;
    return encodeCbor(new Map<string, unknown>([...value, ['records', records], ['bytes', bytes], ['digest', digest]]));
  } catch {
    return record.payload; // a mutation made something else of it
  }
}
