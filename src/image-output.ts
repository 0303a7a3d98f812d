/** Writes the records of collected tasks, with their pages where they belong. */
import { crc32 } from 'node:zlib';
import type { TaskNode } from './collect.ts';
import type { CompressedPages } from './compressed-pages.ts';
import type { EarlierImage } from './earlier-image.ts';
import type { ImageWriter } from './image/writer.ts';
import { LocalMemory } from './linux/ffi.ts';
import { maxRanges, rangesOf, readTraced } from './linux/process-memory.ts';
import { pageSize, push, type PageRuns } from './linux/pagemap.ts';
import type { ImageNode } from './objects/object.ts';
import { maxData, type PageBuffers, pages, pagesPerRecord } from './objects/pages.ts';
import { keptPerRecord, pagesKept } from './objects/pages-kept.ts';
import { sharedSegment } from './objects/shared-segment.ts';
import { sharedMemory } from './objects/shared-memory.ts';
import { task, type Task } from './objects/task.ts';
import { vmaAnonymous } from './objects/vma-anonymous.ts';

export interface OutputProgress {
  pages: number;
  bytes: number;
}

/** The process whose pages are written, and where they pass through. */
interface PageInput {
  readonly pid: number;
  /** The pid that the process has in the image; the pages may be read from a copy of it. */
  readonly former: number;
  readonly buffers: PageBuffers;
  /** The image on which this one is based: what is the same there is not written. */
  readonly base?: EarlierImage | undefined;
  /** Absent: nothing is compressed. */
  readonly compressed?: CompressedPages | undefined;
}

/** What is to be awaited before the next step, besides the sink. */
export type Waiting = Promise<unknown> | undefined;

/**
 * Writes the records. Yields before each record of pages: there the record before it must have left its buffer, and the
 * caller can look up from its work.
 */
export function* writeTasks(
  writer: ImageWriter,
  tasks: readonly TaskNode[],
  through: Omit<PageInput, 'pid' | 'former'>,
  progress: OutputProgress,
): Generator<Waiting> {
  for (const each of tasks) {
    const former = each.record === task.record ? (each.value as Task).pid : 0;
    yield* writeTree(writer, each, { pid: each.pid, former, ...through }, progress);
  }
}

function* writeTree(writer: ImageWriter, root: ImageNode, input: PageInput, progress: OutputProgress): Generator<Waiting> {
  if (root.children === undefined) {
    writer.write(root.record, root.value, root.objref);
    return;
  }
  writer.open(root.record, root.value, root.objref);
  if (root.pages !== undefined) yield* writePages(writer, root, root.pages, input, progress);
  for (const child of root.children) yield* writeTree(writer, child, input, progress);
  writer.close();
}

function* writePages(
  writer: ImageWriter,
  { record, readPages }: ImageNode,
  runs: PageRuns,
  { pid, former, buffers, compressed, base }: PageInput,
  progress: OutputProgress,
): Generator<Waiting> {
  const dropZeros = record === vmaAnonymous.record || record === sharedMemory.record || record === sharedSegment.record; // elsewhere a zero page hides what the file has
  const read = readPages ?? ((chunk, into) => readTraced(pid, into, rangesOf(chunk)));
  const kept: PageRuns = [];
  for (const chunk of chunks(runs)) {
    const buffer = (compressed ?? buffers).next;
    read(chunk, buffer);
    const content = dropZeros ? withoutZeroPages(buffer.bytes, chunk) : chunk;
    const stored =
      base === undefined || !pagesKept.record.parents.includes(record.name)
        ? content
        : withoutKept(base, former, buffer.bytes, content, kept);
    while (kept.length >= 2 * keptPerRecord)
      writer.write(pagesKept.record, { of: former, runs: kept.splice(0, 2 * keptPerRecord) });
    if (stored.length === 0) continue;
    const count = stored.reduce((sum, value, index) => (index % 2 === 1 ? sum + value : sum), 0);
    progress.pages += count;
    if (compressed !== undefined) {
      compressed.add(stored, count);
      progress.bytes += yield* compressed.settle(writer);
      continue;
    }
    const data = buffer.bytes.subarray(0, count * pageSize);
    const sum = crc32(data);
    yield undefined;
    writer.data(pages.record, { runs: stored }, data, sum);
    buffers.advance();
    progress.bytes += count * pageSize;
  }
  if (compressed !== undefined) progress.bytes += yield* compressed.settle(writer, 0);
  if (kept.length > 0) writer.write(pagesKept.record, { of: former, runs: kept });
}

/** Cuts runs into pieces of at most one record each. */
export function* chunks(runs: PageRuns): Generator<PageRuns> {
  let chunk: PageRuns = [];
  let room = pagesPerRecord;
  for (let index = 0; index < runs.length; index += 2) {
    let first = runs[index] ?? 0;
    let count = runs[index + 1] ?? 0;
    while (count > 0) {
      const taken = Math.min(count, room);
      chunk.push(first, taken);
      first += taken;
      count -= taken;
      room -= taken;
      if (room === 0 || chunk.length / 2 === maxRanges) {
        yield chunk;
        chunk = [];
        room = pagesPerRecord;
      }
    }
  }
  if (chunk.length > 0) yield chunk;
}

const zeroPage = Buffer.alloc(pageSize);

function withoutZeroPages(bytes: Uint8Array, runs: PageRuns): PageRuns {
  const words = new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.length / 8);
  const stored: PageRuns = [];
  let from = 0;
  let to = 0;
  for (let index = 0; index < runs.length; index += 2) {
    const first = runs[index] ?? 0;
    const count = runs[index + 1] ?? 0;
    for (let page = first; page < first + count; page++, from += pageSize) {
      if (words[from / 8] === 0n && zeroPage.compare(bytes, from, from + pageSize) === 0) continue;
      if (to !== from) bytes.copyWithin(to, from, from + pageSize);
      to += pageSize;
      const last = stored.length - 2;
      if (last >= 0 && stored[last]! + stored[last + 1]! === page) stored[last + 1]!++;
      else stored.push(page, 1);
    }
  }
  return stored;
}

/** Leaves only those pages at the begin of `bytes` that the base has not, or has otherwise; the others are added to `kept`. */
function withoutKept(base: EarlierImage, pid: number, bytes: Uint8Array, runs: PageRuns, kept: PageRuns): PageRuns {
  const present = base.present(pid, runs);
  if (present.length === 0) return runs;
  const there = LocalMemory.scratch('base', maxData).bytes;
  base.read(pid, present, there);
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const stored: PageRuns = [];
  let [from, to, at, before] = [0, 0, 0, 0]; // before: bytes of `there` that belong to earlier runs of `present`
  for (let index = 0; index < runs.length; index += 2) {
    const end = runs[index]! + runs[index + 1]!;
    for (let page = runs[index]!; page < end; page++, from += pageSize) {
      while (at < present.length && present[at]! + present[at + 1]! <= page) {
        before += present[at + 1]! * pageSize;
        at += 2;
      }
      const first = present[at];
      if (first !== undefined && first <= page) {
        const place = before + (page - first) * pageSize;
        if (view.compare(there, place, place + pageSize, from, from + pageSize) === 0) {
          push(kept, page, page + 1);
          continue;
        }
      }
      if (to !== from) bytes.copyWithin(to, from, from + pageSize);
      to += pageSize;
      push(stored, page, page + 1);
    }
  }
  return stored;
}
