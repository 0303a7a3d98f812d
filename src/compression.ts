/** What --compress and the option `compress` mean. */
import { StasisError } from './errors.ts';
import { codecNames, codecOf, defaultLevels, type Codec, type CodecName } from './linux/codecs.ts';

/** `none`, `lz4`, `zstd`, or with a level: `zstd:1` to `zstd:19`. */
export type Compression = 'none' | CodecName | `zstd:${number}`;

export interface Compressor {
  readonly name: CodecName;
  readonly level: number;
  readonly codec: Codec;
}

const highestLevel = 19;

/** undefined for a word that means nothing. */
export function parseCompression(word: string): { readonly name: CodecName; readonly level: number } | 'none' | undefined {
  if (word === 'none') return 'none';
  const [codec, level, ...rest] = word.split(':');
  const name = codecNames.find((candidate) => candidate === codec);
  if (name === undefined || rest.length > 0) return undefined;
  if (level === undefined) return { name, level: defaultLevels[name] };
  const isLevel = name === 'zstd' && /^\d{1,2}$/.test(level) && Number(level) >= 1 && Number(level) <= highestLevel;
  return isLevel ? { name, level: Number(level) } : undefined;
}

export const compressionWords = 'none, lz4, zstd, zstd:1 to zstd:19';

/** Ready for work, or an error that says what is missing; undefined when nothing is to be compressed. */
export function makeCompressor(word: string): Compressor | undefined {
  const wanted = parseCompression(word);
  if (wanted === undefined)
    throw new StasisError('FAILED', `Cannot compress with "${word}"`, {
      phase: 'prepare',
      hint: `Known are ${compressionWords}.`,
    });
  return wanted === 'none' ? undefined : { ...wanted, codec: codecOf(wanted.name, `Cannot compress with ${wanted.name}`) };
}
