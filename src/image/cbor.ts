/**
 * CBOR (RFC 8949) as images use it: integers of up to 64 bits, byte strings, text, booleans, arrays, and maps with text
 * keys. Refused: floats, null, undefined, tags, indefinite lengths, integers and lengths that are not in their
 * shortest form, invalid UTF-8, duplicate keys. So every value has one encoding (but for the order of keys), and what is
 * not understood can be kept and written again unchanged.
 */
import { decode, encode, type Token, Tokenizer } from 'cborg';

/** Maps keep the order of their keys, and know no special names such as `__proto__`. */
export type CborValue = number | bigint | boolean | string | Uint8Array | readonly CborValue[] | ReadonlyMap<string, CborValue>;

/** Nesting of arrays and maps inside one payload. The library recurses: this also guards the stack. */
export const maxCborDepth = 16;
/** Values of any size in one payload, keys counted; bounds the memory that a small payload can unfold to. */
export const maxCborItems: number = 1 << 18;

const decodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowBigInt: true,
  allowInfinity: false,
  allowNaN: false,
  useMaps: true,
  rejectDuplicateMapKeys: true,
} as const;

/** Keys stay in the order in which the schema names them. */
const encodeOptions = { mapSorter: (): number => 0 };

/** The bytes of a value made of {@link CborValue}s. */
export function encodeCbor(value: unknown): Uint8Array {
  return encode(value, encodeOptions);
}

/** The one value that `bytes` hold; an Error that says what is wrong when they hold anything else. */
export function decodeCbor(bytes: Uint8Array): CborValue {
  // The library copies byte strings with slice(), which in a Buffer copies nothing.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return decode(plain, { ...decodeOptions, tokenizer: new StrictTokenizer(plain, decodeOptions) }) as CborValue;
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Applies the limits before the library builds anything. */
class StrictTokenizer extends Tokenizer {
  #items = 0;
  /** For each open container the values that are still to come (a map counts keys too), negative for a map. */
  readonly #open: number[] = [];

  override next(): Token {
    const start = this.pos();
    const token = super.next();
    if (++this.#items > maxCborItems) throw new Error(`more than ${maxCborItems} values`);
    const type = token.type.name;
    this.#enter(type);
    switch (type) {
      case 'uint':
      case 'negint':
      case 'bytes':
      case 'true':
      case 'false':
        break;
      case 'string':
        this.#checkText(token, start);
        break;
      case 'array':
      case 'map':
        this.#begin(type, token.value as number);
        break;
      default:
        throw new Error(`${type} values are not used in images`);
    }
    while (this.#open.at(-1) === 0) this.#open.pop();
    return token;
  }

  /** Counts the value in the container where it stands. */
  #enter(type: string): void {
    const top = this.#open.length - 1;
    const left = this.#open[top];
    if (left === undefined) return;
    if (left < 0 && left % 2 === 0 && type !== 'string') throw new Error('a key of a map is not text');
    this.#open[top] = left < 0 ? left + 1 : left - 1;
  }

  #begin(type: 'array' | 'map', length: number): void {
    const values = type === 'map' ? 2 * length : length;
    if (values > this.data.length - this.pos()) throw new Error(`${type} of ${length} in fewer bytes`);
    if (length === 0) return;
    if (this.#open.length >= maxCborDepth) throw new Error(`nested deeper than ${maxCborDepth}`);
    this.#open.push(type === 'map' ? -values : values);
  }

  /** The library replaces invalid bytes and drops a byte order mark; text must come out as it went in, or not at all. */
  #checkText(token: Token, start: number): void {
    const minor = (this.data[start] ?? 0) & 31;
    const prefix = minor < 24 ? 1 : 1 + (1 << (minor - 24));
    const end = this.pos();
    const text = token.value as string;
    if (text.length === end - start - prefix && !text.includes('\ufffd')) return; // ASCII
    try {
      token.value = utf8.decode(this.data.subarray(start + prefix, end));
    } catch {
      throw new Error('text that is not UTF-8');
    }
  }
}
