/**
 * The frame of an image: what surrounds the payloads. All numbers little-endian.
 *
 *     preamble   0        8          12      16
 *                | magic  | revision | crc32 |                       crc32 over bytes 0..11
 *
 *     header     0     2       4        8                12            16              20           24         28      32
 *                | tag | flags | objref | payload length | data length | payload crc32 | data crc32 | reserved | crc32 |
 *                                                                                                  crc32 over bytes 0..27
 *     record     | header | payload (CBOR) | zeros up to a multiple of 4096 of the stream | data |
 *                                          '------------ only when data length > 0 -------------'
 *
 * docs/format.md says the same in words.
 */
import { crc32 } from 'node:zlib';
import { ImageError } from '../errors.ts';

/** The revision of the format that this code writes, and the newest one it reads. */
export const currentRevision = 1;

export const preambleSize = 16;
export const headerSize = 32;
/** Data starts at a multiple of this from the start of the stream, so that it can be mapped or read into place. */
export const dataAlignment = 4096;

/** The records up to the matching END record stand inside this one. */
export const flagOpen = 1;
/** A reader that does not know the tag may pass over the record and everything inside it. */
export const flagIgnorable = 2;
const knownFlags: number = flagOpen | flagIgnorable;

/** 0x89 catches 7-bit transports, the line feed those that rewrite line ends (as in PNG). */
const magic: readonly number[] = [0x89, 0x53, 0x54, 0x41, 0x53, 0x49, 0x53, 0x0a];

/** What a reader accepts at most; a writer keeps to the same. */
export interface ImageLimits {
  /** bytes of CBOR in one record */
  readonly payload: number;
  /** bytes of data in one record */
  readonly data: number;
  /** containers open at once */
  readonly depth: number;
  /** highest objref, and so the number of shared objects */
  readonly objref: number;
}

export const defaultLimits: ImageLimits = { payload: 16 << 20, data: 4 << 20, depth: 16, objref: 1 << 20 };

export interface RecordHeader {
  readonly tag: number;
  readonly flags: number;
  /** 0 = the record defines no shared object */
  readonly objref: number;
  readonly payloadLength: number;
  readonly dataLength: number;
  readonly payloadCrc: number;
  readonly dataCrc: number;
}

/** Bytes of zero between `offset`, where a payload ends, and the data behind it. */
export function paddingAt(offset: number): number {
  return (dataAlignment - (offset % dataAlignment)) % dataAlignment;
}

export function encodePreamble(revision: number = currentRevision): Uint8Array {
  const bytes = new Uint8Array(preambleSize);
  const view = new DataView(bytes.buffer);
  bytes.set(magic);
  view.setUint32(8, revision, true);
  view.setUint32(12, crc32(bytes.subarray(0, 12)), true);
  return bytes;
}

/** An ImageError when these, even if they are fewer than a preamble, cannot be the first bytes of an image. */
export function checkMagic(bytes: Uint8Array): void {
  const wrong = bytes.subarray(0, magic.length).some((byte, index) => byte !== magic[index]);
  if (wrong) throw new ImageError('Not a Stasis image: the magic bytes are missing', 0);
}

/** The revision of the image, or an ImageError when these are not the first bytes of one that we can read. */
export function decodePreamble(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  checkMagic(bytes);
  if (crc32(bytes.subarray(0, 12)) !== view.getUint32(12, true)) {
    throw new ImageError('The first 16 bytes of the image are damaged: their checksum does not match', 0);
  }
  const revision = view.getUint32(8, true);
  if (revision === 0 || revision > currentRevision) {
    throw new ImageError(`The image has format revision ${revision}, this Stasis reads up to ${currentRevision}`, 8, '', {
      hint: 'Read it with the version of Stasis that wrote it, or a newer one.',
    });
  }
  return revision;
}

/** Writes a header at `at`; there must be {@link headerSize} bytes of room. */
export function encodeHeader(into: Uint8Array, at: number, header: RecordHeader): void {
  const view = viewOf(into);
  view.setUint16(at, header.tag, true);
  view.setUint16(at + 2, header.flags, true);
  view.setUint32(at + 4, header.objref, true);
  view.setUint32(at + 8, header.payloadLength, true);
  view.setUint32(at + 12, header.dataLength, true);
  view.setUint32(at + 16, header.payloadCrc, true);
  view.setUint32(at + 20, header.dataCrc, true);
  view.setUint32(at + 24, 0, true);
  view.setUint32(at + 28, crc32(into.subarray(at, at + 28)), true);
}

/** The header in the first bytes of `bytes`; `offset` is its place in the stream, for errors. */
export function decodeHeader(bytes: Uint8Array, offset: number, limits: ImageLimits): RecordHeader {
  const view = viewOf(bytes);
  const fail = (message: string): never => {
    throw new ImageError(message, offset);
  };
  if (crc32(bytes.subarray(0, 28)) !== view.getUint32(28, true)) fail('A record header is damaged: its checksum does not match');
  const header: RecordHeader = {
    tag: view.getUint16(0, true),
    flags: view.getUint16(2, true),
    objref: view.getUint32(4, true),
    payloadLength: view.getUint32(8, true),
    dataLength: view.getUint32(12, true),
    payloadCrc: view.getUint32(16, true),
    dataCrc: view.getUint32(20, true),
  };
  if ((header.flags & ~knownFlags) !== 0) fail(`A record has unknown flags ${hex(header.flags)}`);
  if (view.getUint32(24, true) !== 0) fail('A record header has a reserved field that is not zero');
  if (header.payloadLength > limits.payload)
    fail(`A record has ${header.payloadLength} bytes of payload, at most ${limits.payload} are allowed`);
  if (header.dataLength > limits.data)
    fail(`A record has ${header.dataLength} bytes of data, at most ${limits.data} are allowed`);
  if (header.objref > limits.objref) fail(`A record has objref ${header.objref}, at most ${limits.objref} is allowed`);
  if (header.dataLength === 0 && header.dataCrc !== 0) fail('A record without data has a data checksum');
  return header;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
