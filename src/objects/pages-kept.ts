/** Pages that have not changed since the image on which this one is based: they are to be found there. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { StasisError } from '../errors.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { pageSize, type PageRuns } from '../linux/pagemap.ts';
import type { ObjectKind } from './object.ts';
import { maxData, pagesPerRecord, placePages } from './pages.ts';

export interface PagesKept {
  /** First page number, page count, first page number, … */
  readonly runs: readonly number[];
  /** The pid of the task of the base in whose private mappings the pages are, at the same addresses. */
  readonly of: number;
}

/** Runs in one record. */
export const keptPerRecord = 4096;

const record: RecordKind<PagesKept> = defineKind<PagesKept>({
  tag: 0x2f,
  name: 'pages-kept',
  parents: ['vma-anonymous', 'vma-private-file', 'vma-shared-memory'],
  schema: s.record({ runs: s.array(s.uint(), 2 * keptPerRecord), of: s.uint() }),
});

export const pagesKept: ObjectKind<PagesKept> = {
  record,
  title: 'Unchanged pages',
  carried: 'Of an image made with --base: which pages are to be taken from the base.',
  refused: 'At restart: a base that is missing, or another file than the one that was meant.',
  restart(value, rebuild) {
    const { earlier } = rebuild;
    if (earlier === undefined) throw new StasisError('IMAGE', 'The image takes pages from a base and names none');
    const content = LocalMemory.scratch('pages kept', maxData).bytes;
    for (const runs of piecesOf(value.runs, pagesPerRecord)) {
      const bytes = content.subarray(0, pagesIn(runs) * pageSize);
      earlier.read(value.of, runs, bytes);
      placePages(rebuild, runs, bytes);
    }
  },
};

function pagesIn(runs: PageRuns): number {
  return runs.reduce((sum, count, index) => (index % 2 === 1 ? sum + count : sum), 0);
}

/** The runs in pieces of at most `most` pages. */
export function* piecesOf(runs: readonly number[], most: number): Generator<PageRuns> {
  let piece: PageRuns = [];
  let room = most;
  for (let index = 0; index + 1 < runs.length; index += 2) {
    let [first, count] = [runs[index]!, runs[index + 1]!];
    while (count > 0) {
      const taken = Math.min(count, room);
      piece.push(first, taken);
      [first, count, room] = [first + taken, count - taken, room - taken];
      if (room > 0) continue;
      yield piece;
      [piece, room] = [[], most];
    }
  }
  if (piece.length > 0) yield piece;
}
