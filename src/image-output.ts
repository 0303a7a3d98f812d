/** Writes the records of collected tasks, with their pages where they belong. */
import { crc32 } from 'node:zlib';
import type { TaskNode } from './collect.ts';
import type { CompressedPages } from './compressed-pages.ts';
import type { ImageWriter } from './image/writer.ts';
import { maxRanges, rangesOf, readTraced } from './linux/process-memory.ts';
import { pageSize, type PageRuns } from './linux/pagemap.ts';
import type { ImageNode } from './objects/object.ts';
import { type PageBuffers, pages, pagesPerRecord } from './objects/pages.ts';
import { sharedSegment } from './objects/shared-segment.ts';
import { sharedMemory } from './objects/shared-memory.ts';
import { vmaAnonymous } from './objects/vma-anonymous.ts';

export interface OutputProgress {
  pages: number;
  bytes: number;
}

/** The process whose pages are written, and where they pass through. */
interface PageInput {
  readonly pid: number;
  readonly buffers: PageBuffers;
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
  through: Omit<PageInput, 'pid'>,
  progress: OutputProgress,
): Generator<Waiting> {
  for (const task of tasks) yield* writeTree(writer, task, { pid: task.pid, ...through }, progress);
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
  { pid, buffers, compressed }: PageInput,
  progress: OutputProgress,
): Generator<Waiting> {
  const dropZeros = record === vmaAnonymous.record || record === sharedMemory.record || record === sharedSegment.record; // elsewhere a zero page hides what the file has
  const read = readPages ?? ((chunk, into) => readTraced(pid, into, rangesOf(chunk)));
  for (const chunk of chunks(runs)) {
    const buffer = (compressed ?? buffers).next;
    read(chunk, buffer);
    const stored = dropZeros ? withoutZeroPages(buffer.bytes, chunk) : chunk;
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
