/**
 * The image on which another is based, with its own base and so on: which pages the private mappings of its tasks have, and
 * their content. The file stays where it is; of it only the structure is read at first, and page data when it is asked for.
 */
import { basename, dirname, join } from 'node:path';
import { ImageError, StasisError } from './errors.ts';
import { is } from './image/events.ts';
import { headKind, type Base } from './image/head.ts';
import { readEvents } from './image/read-events.ts';
import { ImageReader } from './image/reader.ts';
import { tailKind } from './image/tail.ts';
import { readAt } from './lazy-memory.ts';
import type { CodecName } from './linux/codecs.ts';
import { pageSize, push, type PageRuns } from './linux/pagemap.ts';
import { mm } from './objects/mm.ts';
import type { EarlierMemory } from './objects/object.ts';
import { bytesOf, pages, unpack } from './objects/pages.ts';
import { pagesKept } from './objects/pages-kept.ts';
import { kinds } from './objects/registry.ts';
import { task } from './objects/task.ts';
import { openSource, type OpenSource } from './source.ts';

/** A run of pages whose content stands somewhere. */
interface Piece {
  readonly first: number;
  readonly count: number;
  /** Index of the record, or -1: in the base. */
  readonly record: number;
  /** Pages before it in the record; of what is in the base the pid there. */
  readonly at: number;
}

interface DataRecord {
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
  readonly bytes: number;
  readonly codec: CodecName | undefined;
}

/** Where to look for a base besides the path that the image names. */
export interface BasePlaces {
  readonly directories: readonly string[];
}

export class EarlierImage implements EarlierMemory, Disposable {
  readonly path: string;
  /** As its tail has it. */
  readonly digest: Uint8Array;
  readonly base: EarlierImage | undefined;
  readonly #input: OpenSource;
  readonly #records: DataRecord[] = [];
  readonly #pieces = new Map<number, Piece[]>();
  /** Records that were read last, by index. */
  readonly #cache = new Map<number, Uint8Array>();

  /** Opens the image at `path` and all that it is based on. */
  constructor(path: string, places: BasePlaces) {
    this.path = path;
    this.#input = openSource({ path });
    try {
      if (!this.#input.isFile) throw new StasisError('FAILED', `Cannot take ${path} as a base: it is not a regular file`);
      const { digest, base } = this.#index();
      this.digest = digest;
      this.base = base === undefined ? undefined : openBase(base, { directories: [dirname(path), ...places.directories] });
    } catch (error) {
      this.#input.close();
      throw error;
    }
  }

  #index(): { digest: Uint8Array; base: Base | undefined } {
    let base: Base | undefined;
    let digest: Uint8Array | undefined;
    let pid = 0;
    let inMemory = false;
    for (const event of readEvents(new ImageReader(kinds, { data: 'skip' }), this.#input)) {
      if (event.type === 'close') {
        if (event.kind.tag === mm.record.tag) inMemory = false;
        continue;
      }
      if (is(event, headKind)) base = event.value.base;
      if (is(event, tailKind)) digest = event.value.digest;
      if (is(event, task.record)) this.#pieces.set((pid = event.value.pid), []);
      if (is(event, mm.record)) inMemory = true;
      // Pages of shared objects stand inside of a mm too, but they are numbered from the begin of the object.
      if (!inMemory || shared.has(this.#container(event.depth, event))) continue;
      if (is(event, pages.record)) {
        const { dataOffset: offset, dataLength: length, dataCrc: crc, value } = event;
        this.#records.push({ offset, length, crc, bytes: bytesOf(value), codec: value.codec });
        this.#add(pid, value.runs, (before) => ({ record: this.#records.length - 1, at: before }));
      }
      if (is(event, pagesKept.record)) this.#add(pid, event.value.runs, () => ({ record: -1, at: event.value.of }));
    }
    for (const pieces of this.#pieces.values()) pieces.sort((one, other) => one.first - other.first);
    if (digest === undefined) throw new ImageError(`The image ${this.path} has no tail`, 0);
    return { digest, base };
  }

  /** Names of the open containers, by depth. */
  readonly #names: string[] = [];

  #container(depth: number, event: { readonly type: 'open' | 'leaf'; readonly kind: { readonly name: string } }): string {
    this.#names.length = depth;
    const around = this.#names[depth - 1] ?? '';
    if (event.type === 'open') this.#names[depth] = event.kind.name;
    return around;
  }

  #add(pid: number, runs: readonly number[], place: (before: number) => Pick<Piece, 'record' | 'at'>): void {
    const pieces = this.#pieces.get(pid);
    let before = 0;
    for (let index = 0; index + 1 < runs.length; index += 2) {
      const [first, count] = [runs[index]!, runs[index + 1]!];
      pieces?.push({ first, count, ...place(before) });
      before += count;
    }
  }

  /** Those of the pages that are here, for a task that had this pid. */
  present(pid: number, runs: PageRuns): PageRuns {
    const found: PageRuns = [];
    const pieces = this.#pieces.get(pid) ?? [];
    for (let index = 0; index < runs.length; index += 2) {
      const [first, end] = [runs[index]!, runs[index]! + runs[index + 1]!];
      for (let at = firstEndingAfter(pieces, first); at < pieces.length && pieces[at]!.first < end; at++) {
        const piece = pieces[at]!;
        push(found, Math.max(first, piece.first), Math.min(end, piece.first + piece.count));
      }
    }
    return found;
  }

  read(pid: number, runs: PageRuns, into: Uint8Array): void {
    const pieces = this.#pieces.get(pid) ?? [];
    let to = 0;
    for (let index = 0; index < runs.length; index += 2) {
      let page = runs[index]!;
      const end = page + runs[index + 1]!;
      for (let at = firstEndingAfter(pieces, page); page < end; at++) {
        const piece = pieces[at];
        if (piece === undefined || piece.first > page) {
          throw new ImageError(`The base ${this.path} does not hold page ${page.toString(16)} of task ${pid}`, 0);
        }
        const count = Math.min(end, piece.first + piece.count) - page;
        const place = into.subarray(to, to + count * pageSize);
        if (piece.record >= 0) {
          const from = (piece.at + page - piece.first) * pageSize;
          place.set(this.#record(piece.record).subarray(from, from + place.length));
        } else if (this.base === undefined) {
          throw new ImageError(`The image ${this.path} takes pages from a base and names none`, 0);
        } else this.base.read(piece.at, [page, count], place);
        page += count;
        to += place.length;
      }
    }
  }

  #record(index: number): Uint8Array {
    const cached = this.#cache.get(index);
    if (cached !== undefined) return cached;
    const { offset, length, crc, bytes, codec } = this.#records[index]!;
    const oldest = this.#cache.size < cachedRecords ? undefined : this.#cache.keys().next().value;
    if (oldest !== undefined) this.#cache.delete(oldest);
    const data = readAt(this.#input.fd, { offset, length, crc }, Buffer.allocUnsafe(length));
    const content = codec === undefined ? data : Uint8Array.from(unpack(codec, data, bytes));
    if (content.length !== bytes) throw new ImageError(`A record of ${bytes} bytes of pages holds ${content.length}`, offset);
    this.#cache.set(index, content);
    return content;
  }

  [Symbol.dispose](): void {
    this.#input.close();
    this.#cache.clear();
    this.base?.[Symbol.dispose]();
  }
}

const shared = new Set(['shared-memory', 'shared-segment']);
const cachedRecords = 4;

/** Index of the first piece that ends behind the page. */
function firstEndingAfter(pieces: readonly Piece[], page: number): number {
  let low = 0;
  for (let high = pieces.length; low < high;) {
    const middle = (low + high) >> 1;
    if (pieces[middle]!.first + pieces[middle]!.count <= page) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The image that the head names: where it was, or under its name in one of the directories. */
export function openBase({ digest, path }: Base, { directories }: BasePlaces): EarlierImage {
  const candidates = new Set([path, ...directories.map((directory) => join(directory, basename(path)))]);
  let foreign: string | undefined;
  for (const candidate of candidates) {
    let image: EarlierImage;
    try {
      image = new EarlierImage(candidate, { directories });
    } catch (error) {
      if (error instanceof StasisError && (error.cause as { code?: unknown } | undefined)?.code === 'ENOENT') continue;
      throw error;
    }
    if (Buffer.compare(image.digest, digest) === 0) return image;
    foreign = candidate;
    image[Symbol.dispose]();
  }
  const reason = foreign === undefined ? `${path} does not exist` : `${foreign} is another image, by its digest`;
  throw new ImageError(`The image is based on another, and ${reason}`, 0, 'head.base', {
    hint: 'Put the base beside the image under its own name, or say in which directory it is: --base-dir DIRECTORY.',
  });
}
