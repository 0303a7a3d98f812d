/** The pages of collected mappings, found after everything else: in the task itself, in a copy of its memory, or put aside. */
import type { TaskNode } from './collect.ts';
import { chunks } from './image-output.ts';
import { LocalMemory } from './linux/ffi.ts';
import { readTraced, rangesOf } from './linux/process-memory.ts';
import { ownPages, pageSize, push, runsWithin, type PageRuns, type Span } from './linux/pagemap.ts';
import { difference } from './objects/inheritance.ts';
import type { ImageNode, ReadPages } from './objects/object.ts';
import { spansOf, type AnonymousMapping } from './objects/vma-anonymous.ts';
import type { MappingBase } from './objects/vma.ts';

/** The tree with each mapping or object that has pages replaced. */
export function mapPages<T extends ImageNode>(root: T, replace: (node: ImageNode) => ImageNode): T {
  const children = root.children?.map((child) => mapPages(child, replace));
  const whole = children === undefined ? root : { ...root, children };
  return whole.pages === undefined ? whole : { ...whole, ...replace(whole) };
}

/**
 * Whether a copy made by fork lacks its content, or may lose it: of private huge TLB pages the copy loses those that the
 * process writes to when there are no free ones. Source: man 2 madvise, man 2 mmap (MAP_DROPPABLE), mm/hugetlb.c.
 */
export function isMissingInCopy({ value, readPages }: ImageNode): boolean {
  const { advice = [], droppable, hugePage } = value as Partial<AnonymousMapping>;
  return (
    readPages !== undefined ||
    droppable === true ||
    hugePage !== undefined ||
    advice.includes('DONTFORK') ||
    advice.includes('WIPEONFORK')
  );
}

/** Whether its pages are not read from the memory of the process like all others. */
export function isElsewhere({ value, readPages }: ImageNode): boolean {
  return readPages !== undefined || (value as Partial<AnonymousMapping>).hugePage !== undefined;
}

/** The mappings of the tree with pages that have been copied: those written last to `memory`, the unchanged ones before. */
export function withPagesIn(
  root: TaskNode,
  { written, unchanged }: { readonly written: PageRuns; readonly unchanged: PageRuns },
  memory: PagesInMemory,
  before: { read(runs: PageRuns, into: Uint8Array): void },
): TaskNode {
  const own = union(written, unchanged);
  const readPages: ReadPages = (chunk, into) => {
    let to = 0;
    for (let index = 0; index < chunk.length; index += 2) {
      const end = chunk[index]! + chunk[index + 1]!;
      for (let page = chunk[index]!; page < end;) {
        const { here, count } = memory.from(page, end);
        const place = into.bytes.subarray(to, to + count * pageSize);
        if (here) memory.copy([page, count], place);
        else before.read([page, count], place);
        page += count;
        to += count * pageSize;
      }
    }
  };
  return mapPages(root, (node) => (isElsewhere(node) ? node : { ...withRuns(node, runsOfNode(node, own)), readPages }));
}

/** Of runs that have no page in common. */
function union(one: PageRuns, other: PageRuns): PageRuns {
  const all: PageRuns = [];
  for (let i = 0, j = 0; i < one.length || j < other.length;) {
    const first = j >= other.length || (i < one.length && one[i]! < other[j]!);
    const [runs, index] = first ? [one, i] : [other, j];
    push(all, runs[index]!, runs[index]! + runs[index + 1]!);
    if (first) i += 2;
    else j += 2;
  }
  return all;
}

/** The mappings of the tree with the pages that process `pid` has there. What is read in another way stays. */
export function withPagesOf(root: TaskNode, pid: number): TaskNode {
  const spans: Span[] = [];
  mapPages(root, (node) => {
    if (node.readPages === undefined) spans.push(...spansOfNode(node));
    return node;
  });
  spans.sort((one, other) => (one.start < other.start ? -1 : 1));
  const own = ownPages(pid, spans);
  const runs = root.inherited === undefined ? own : difference(own, root.inherited);
  return mapPages(root, (node) => (node.readPages === undefined ? withRuns(node, runsOfNode(node, runs)) : node));
}

function spansOfNode({ value }: ImageNode): Span[] {
  return spansOf(value as AnonymousMapping);
}

/** The part of `runs` in the mappings of the node. */
function runsOfNode(node: ImageNode, runs: PageRuns): PageRuns {
  return spansOfNode(node).flatMap(
    (span) => runsWithin(runs, span, firstRunAt(runs, Number(span.start / BigInt(pageSize)))).runs,
  );
}

/** The index in `runs` of the first run that ends behind the page. */
function firstRunAt(runs: PageRuns, page: number): number {
  let low = 0;
  for (let high = runs.length / 2; low < high;) {
    const middle = (low + high) >> 1;
    if (runs[2 * middle]! + runs[2 * middle + 1]! <= page) low = middle + 1;
    else high = middle;
  }
  return 2 * low;
}

export function withRuns(node: ImageNode, runs: PageRuns): ImageNode {
  return { ...node, pages: runs, value: { ...(node.value as MappingBase), stored: pageCount(runs) } };
}

export function pageCount(runs: PageRuns): number {
  let count = 0;
  for (let index = 1; index < runs.length; index += 2) count += runs[index] ?? 0;
  return count;
}

/** Content of a stopped process, put aside in our memory so that the process can run on. */
export class PutAside implements Disposable {
  readonly #pieces: PagesInMemory[] = [];
  readonly #limit: number;
  bytes = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The node with its content in our memory; undefined when that would be more than the limit. */
  take(node: ImageNode, pid: number): ImageNode | undefined {
    const { readPages } = node;
    const whole = readPages === undefined ? withRuns(node, runsOfNode(node, ownPages(pid, spansOfNode(node)))) : node;
    const runs = whole.pages ?? [];
    const size = pageCount(runs) * pageSize;
    if (this.bytes + size > this.#limit) return undefined;
    this.bytes += size;
    return this.keep(whole, pid);
  }

  /** The node, whose pages are known, with its content in our memory; whatever the limit is. */
  keep(node: ImageNode, pid: number): ImageNode {
    const { readPages } = node;
    const runs = node.pages ?? [];
    const read = readPages ?? ((chunk, into) => readTraced(pid, into, rangesOf(chunk)));
    const memory = new PagesInMemory(runs);
    this.#pieces.push(memory);
    memory.fill(read);
    return { ...node, readPages: (chunk, into) => memory.copy(chunk, into.bytes) };
  }

  [Symbol.dispose](): void {
    for (const piece of this.#pieces.splice(0)) piece[Symbol.dispose]();
  }
}

/** Pages by their numbers, one after the other in our memory. */
export class PagesInMemory implements Disposable {
  readonly #runs: PageRuns;
  /** Of each run, how many pages stand before it. */
  readonly #before: number[] = [];
  readonly #memory: LocalMemory;

  /** `runs`: rising. */
  constructor(runs: PageRuns) {
    this.#runs = runs;
    let count = 0;
    for (let index = 0; index < runs.length; index += 2) {
      this.#before.push(count);
      count += runs[index + 1] ?? 0;
    }
    this.#memory = LocalMemory.allocate(Math.max(count, 1) * pageSize);
  }

  fill(read: ReadPages): void {
    let at = 0;
    for (const chunk of chunks(this.#runs)) {
      const size = pageCount(chunk) * pageSize;
      read(chunk, LocalMemory.at(Number(this.#memory.address) + at, size));
      at += size;
    }
  }

  /** Copies pages that all are here to the begin of `into`. */
  copy(runs: PageRuns, into: Uint8Array): void {
    let to = 0;
    for (let index = 0; index < runs.length; index += 2) {
      const first = runs[index] ?? 0;
      const run = this.#find(first);
      const from = ((this.#before[run] ?? 0) + first - (this.#runs[2 * run] ?? 0)) * pageSize;
      const size = (runs[index + 1] ?? 0) * pageSize;
      into.set(this.#memory.bytes.subarray(from, from + size), to);
      to += size;
    }
  }

  /** Whether the page is here, and of how many from it on that is true. */
  from(page: number, end: number): { readonly here: boolean; readonly count: number } {
    const run = this.#find(page);
    const [first = Infinity, count = 0] = [this.#runs[2 * run], this.#runs[2 * run + 1]];
    if (first <= page && page < first + count) return { here: true, count: Math.min(end, first + count) - page };
    const next = this.#runs[2 * (first > page ? run : run + 1)] ?? end;
    return { here: false, count: Math.min(end, next) - page };
  }

  /** The index of the last run that begins at or before the page. */
  #find(page: number): number {
    let low = 0;
    let high = this.#before.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#runs[2 * middle] ?? 0) <= page) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  [Symbol.dispose](): void {
    this.#memory.free();
  }
}
