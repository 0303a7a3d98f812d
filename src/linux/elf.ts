/** The GNU build id of an ELF file (`man 5 elf`, linux/elf.h). The file is untrusted: nothing in it is believed unchecked. */
import { closeSync, openSync, readSync } from 'node:fs';

/** Gives up to `length` bytes from `offset`; fewer at the end of the file. */
export type ReadAt = (offset: number, length: number) => Uint8Array;

const maximalSegments = 1024;
const maximalNoteBytes = 64 * 1024;
const maximalIdBytes = 64;

const PT_NOTE = 4;
const NT_GNU_BUILD_ID = 3;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly align: number;
}

/** The build id in hexadecimal; undefined when the file is no little-endian ELF file, is damaged, or has none. */
export function buildId(read: ReadAt): string | undefined {
  const header = viewOf(read(0, 64));
  const is64 = elfClass(header);
  if (is64 === undefined) return undefined;
  const tableOffset = is64 ? safe(header.getBigUint64(32, true)) : header.getUint32(28, true);
  const entrySize = header.getUint16(is64 ? 54 : 42, true);
  const count = header.getUint16(is64 ? 56 : 44, true);
  if (tableOffset === undefined || entrySize !== (is64 ? 56 : 32) || count > maximalSegments) return undefined;
  const table = viewOf(read(tableOffset, entrySize * count));
  for (let at = 0; at + entrySize <= table.byteLength; at += entrySize) {
    const segment = segmentAt(table, at, is64);
    if (segment === undefined || segment.type !== PT_NOTE) continue;
    const id = idInNotes(viewOf(read(segment.offset, Math.min(segment.size, maximalNoteBytes))), segment.align);
    if (id !== undefined) return id;
  }
  return undefined;
}

/** {@link buildId} of the file at a path. Throws what node:fs throws when it cannot be opened or read. */
export function readBuildId(path: string): string | undefined {
  const fd = openSync(path, 'r');
  try {
    return buildId((offset, length) => {
      const buffer = new Uint8Array(length);
      return buffer.subarray(0, readSync(fd, buffer, 0, length, offset));
    });
  } finally {
    closeSync(fd);
  }
}

/** true: 64-bit, false: 32-bit, undefined: not ELF, not little-endian, or too short for its header. */
function elfClass(header: DataView): boolean | undefined {
  if (header.byteLength < 52 || header.getUint32(0, true) !== 0x464c457f || header.getUint8(5) !== 1) return undefined;
  const fileClass = header.getUint8(4);
  if (fileClass === 1) return false;
  return fileClass === 2 && header.byteLength >= 64 ? true : undefined;
}

function segmentAt(table: DataView, at: number, is64: boolean): Segment | undefined {
  const type = table.getUint32(at, true);
  if (!is64) {
    const word = (field: number): number => table.getUint32(at + 4 * field, true);
    return { type, offset: word(1), size: word(4), align: word(7) };
  }
  const word = (field: number): number | undefined => safe(table.getBigUint64(at + 8 * field, true));
  const [offset, size, align] = [word(1), word(4), word(6)];
  return offset === undefined || size === undefined || align === undefined ? undefined : { type, offset, size, align };
}

/** A note is three words (name size, description size, type), then name and description, each padded to the alignment. */
function idInNotes(notes: DataView, segmentAlign: number): string | undefined {
  // Notes are aligned to 4 unless their segment says 8 (.note.gnu.property of x86-64).
  const align = segmentAlign === 8 ? 8 : 4;
  const pad = (size: number): number => Math.ceil(size / align) * align;
  for (let at = 0; at + 12 <= notes.byteLength;) {
    const nameSize = notes.getUint32(at, true);
    const size = notes.getUint32(at + 4, true);
    const type = notes.getUint32(at + 8, true);
    const descriptionAt = at + pad(12 + nameSize);
    if (descriptionAt + size > notes.byteLength) return undefined;
    const isGnu = nameSize === 4 && notes.getUint32(at + 12, true) === 0x00554e47;
    if (isGnu && type === NT_GNU_BUILD_ID && size > 0 && size <= maximalIdBytes) {
      return Buffer.from(notes.buffer, notes.byteOffset + descriptionAt, size).toString('hex');
    }
    at = descriptionAt + pad(size);
  }
  return undefined;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function safe(value: bigint): number | undefined {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}
