/**
 * Compression by the system's libraries: liblz4 (lz4.h) and libzstd (zstd.h), called by FFI; zstd also by Node where it has it
 * (22.15). Compressing runs on a thread of libuv's pool, beside the reading.
 */
import * as zlib from 'node:zlib';
import { StasisError } from '../errors.ts';
import { loadFunction, type NativeFunction } from './ffi.ts';

export const codecNames = ['lz4', 'zstd'] as const;
export type CodecName = (typeof codecNames)[number];

export interface Codec {
  /** Compresses into `to`; the length, or undefined when it does not become smaller. Neither may be touched meanwhile. */
  compress(from: Uint8Array, to: Uint8Array, level: number): Promise<number | undefined>;
  /** Fills `to` exactly; false when the bytes are not what compressing that many gives. */
  decompress(from: Uint8Array, to: Uint8Array): boolean;
}

export const defaultLevels: Readonly<Record<CodecName, number>> = { lz4: 1, zstd: 3 };

const libraries: Readonly<Record<CodecName, { readonly file: string; readonly debian: string }>> = {
  lz4: { file: 'liblz4.so.1', debian: 'liblz4-1' },
  zstd: { file: 'libzstd.so.1', debian: 'libzstd1' },
};

const loaded = new Map<CodecName, Codec | undefined>();

/** undefined when the library is not there. */
export function findCodec(name: CodecName): Codec | undefined {
  if (!loaded.has(name)) loaded.set(name, name === 'lz4' ? lz4() : (zstd() ?? zstdOfNode()));
  return loaded.get(name);
}

/** The codec, or an error that names the missing library. */
export function codecOf(name: CodecName, action: string): Codec {
  const codec = findCodec(name);
  if (codec !== undefined) return codec;
  const { file, debian } = libraries[name];
  throw new StasisError('PRIVILEGE', `${action}: the library ${file} is missing`, {
    hint: `Install it; Debian and Ubuntu have it in the package ${debian}.`,
  });
}

function lz4(): Codec | undefined {
  const { file } = libraries.lz4;
  const compress = loadFunction(file, 'int LZ4_compress_fast(const void *, void *, int, int, int)');
  const decompress = loadFunction(file, 'int LZ4_decompress_safe(const void *, void *, int, int)');
  if (compress === undefined || decompress === undefined) return undefined;
  return {
    compress: (from, to, level) => inPool(compress, from.length, from, to, from.length, to.length, level),
    decompress: (from, to) => Number(decompress(from, to, from.length, to.length)) === to.length,
  };
}

function zstd(): Codec | undefined {
  const { file } = libraries.zstd;
  // size_t; errors are the last values of it, so negative as int64
  const compress = loadFunction(file, 'int64 ZSTD_compress(void *, size_t, const void *, size_t, int)');
  const decompress = loadFunction(file, 'int64 ZSTD_decompress(void *, size_t, const void *, size_t)');
  if (compress === undefined || decompress === undefined) return undefined;
  return {
    compress: (from, to, level) => inPool(compress, from.length, to, to.length, from, from.length, level),
    decompress: (from, to) => Number(decompress(to, to.length, from, from.length)) === to.length,
  };
}

async function inPool(call: NativeFunction, before: number, ...words: readonly unknown[]): Promise<number | undefined> {
  const length = await new Promise<number>((done, failed) => {
    call.async(...words, (error: Error | null, result: number | bigint) => {
      if (error === null) done(Number(result));
      else failed(error);
    });
  });
  return length > 0 && length < before ? length : undefined;
}

interface NodeZstd {
  zstdCompress(data: Uint8Array, options: object, done: (error: Error | null, result: Uint8Array) => void): void;
  zstdDecompressSync(data: Uint8Array, options: object): Uint8Array;
}

const ZSTD_c_compressionLevel = 100;

function zstdOfNode(): Codec | undefined {
  const node = zlib as unknown as Partial<NodeZstd>;
  const { zstdCompress, zstdDecompressSync } = node;
  if (zstdCompress === undefined || zstdDecompressSync === undefined) return undefined;
  return {
    compress: async (from, to, level) => {
      const result = await new Promise<Uint8Array>((done, failed) => {
        zstdCompress(from, { params: { [ZSTD_c_compressionLevel]: level } }, (error, bytes) => {
          if (error === null) done(bytes);
          else failed(error);
        });
      });
      if (result.length >= from.length || result.length > to.length) return undefined;
      to.set(result);
      return result.length;
    },
    decompress: (from, to) => {
      try {
        const bytes = zstdDecompressSync(from, { maxOutputLength: to.length });
        if (bytes.length !== to.length) return false;
        to.set(bytes);
        return true;
      } catch {
        return false;
      }
    },
  };
}
