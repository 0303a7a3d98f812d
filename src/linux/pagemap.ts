/**
 * Which pages of another process are its own: present or swapped, anonymous (also by copy-on-write of a private file
 * mapping), and not the kernel's zero page. Source: Documentation/admin-guide/mm/pagemap.rst, fs/proc/task_mmu.c.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { LocalMemory, syscall, syscallError } from './ffi.ts';

/** Addresses from start up to, not including, end. */
export interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

/** Runs of pages: first page number, page count, first page number, … in rising order. */
export type PageRuns = number[];

export const pageSize = 4096;
const PAGEMAP_SCAN = 0xc0606610; // _IOWR('f', 16, struct pm_scan_arg)
const PAGE_IS = { FILE: 4, PRESENT: 8, SWAPPED: 16, PFNZERO: 32, GUARD: 256 } as const;
const argumentSize = 96;
const regionSize = 24;
const regionCount = 4096;

let memory: LocalMemory | undefined;

/** Runs in any of the spans (rising, disjoint). PAGEMAP_SCAN (6.7) where the kernel has it, else /proc/PID/pagemap. */
export function ownPages(pid: number, spans: readonly Span[]): PageRuns {
  const first = spans[0];
  const last = spans.at(-1);
  if (first === undefined || last === undefined) return [];
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    return scan(fd, first.start, last.end) ?? read(fd, spans);
  } finally {
    closeSync(fd);
  }
}

/** Pages that MADV_GUARD_INSTALL made inaccessible (Linux 6.15 tells them). They must not be read. */
export function guardPages(pid: number, spans: readonly Span[]): PageRuns {
  const first = spans[0];
  const last = spans.at(-1);
  if (first === undefined || last === undefined) return [];
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    return walk(fd, first.start, last.end, { inverted: 0, all: PAGE_IS.GUARD, any: 0 }) ?? [];
  } finally {
    closeSync(fd);
  }
}

interface Wanted {
  /** Categories that count when they are absent. */
  readonly inverted: number;
  readonly all: number;
  readonly any: number;
}

/** undefined where the kernel does not know the ioctl. A guard counts as swapped; before 6.15 the kernel does not know the word. */
function scan(fd: number, start: bigint, end: bigint): PageRuns | undefined {
  const absent = PAGE_IS.FILE | PAGE_IS.PFNZERO;
  const any = PAGE_IS.PRESENT | PAGE_IS.SWAPPED;
  const withGuards = absent | PAGE_IS.GUARD;
  return (
    walk(fd, start, end, { inverted: withGuards, all: withGuards, any }) ??
    walk(fd, start, end, { inverted: absent, all: absent, any })
  );
}

/** One ioctl for up to 4,096 runs; undefined where the kernel does not know it, or a category (ENOTTY, EINVAL). */
function walk(fd: number, start: bigint, end: bigint, { inverted, all, any }: Wanted): PageRuns | undefined {
  memory ??= LocalMemory.allocate(argumentSize + regionSize * regionCount + 32);
  const { view, address } = memory;
  const runs: PageRuns = [];
  for (let at = start; at < end;) {
    const words = [argumentSize, 0, at, end, 0, address + BigInt(argumentSize), regionCount, 0, inverted, all, any, 0];
    words.forEach((word, index) => view.setBigUint64(index * 8, BigInt(word), true));
    const found = syscall('ioctl', fd, PAGEMAP_SCAN, address);
    if (found === -25 || found === -22) return undefined;
    if (found < 0) throw syscallError('ioctl', found, 'Cannot scan the page map');
    for (let index = 0; index < found; index++) {
      const region = argumentSize + index * regionSize;
      push(runs, Number(view.getBigUint64(region, true) >> 12n), Number(view.getBigUint64(region + 8, true) >> 12n));
    }
    if (found < regionCount) break;
    // Not walk_end: the kernel leaves an older value in it when its own buffer (512 regions) was full once in the walk.
    at = view.getBigUint64(argumentSize + (found - 1) * regionSize + 8, true);
  }
  return runs;
}

/**
 * Where pages are: the page frame number, or the place in the swap area; 0 for what is not there. All are 0 without
 * CAP_SYS_ADMIN. Two processes with the same one share the page.
 */
export function framesOf(pid: number, first: number, count: number): BigUint64Array {
  const frames = new BigUint64Array(count);
  const fd = openSync(`/proc/${pid}/pagemap`, 'r');
  try {
    readSync(fd, frames, 0, count * 8, first * 8);
  } finally {
    closeSync(fd);
  }
  const number = (1n << 55n) - 1n;
  const swapped = 1n << 62n;
  return frames.map((entry) => ((entry & number) === 0n ? 0n : entry & (number | swapped)));
}

function read(fd: number, spans: readonly Span[]): PageRuns {
  const runs: PageRuns = [];
  const bytes = new Uint8Array(8 * 65536);
  const high = new Uint32Array(bytes.buffer);
  for (const span of spans) {
    let page = Number(span.start >> 12n);
    const end = Number(span.end >> 12n);
    while (page < end) {
      const wanted = Math.min(end - page, 65536);
      const got = readSync(fd, bytes, 0, wanted * 8, page * 8) / 8;
      for (let index = 0; index < got; index++) {
        const word = high[index * 2 + 1]!;
        // bit 63 present, 62 swapped, 61 file page or shared anonymous
        if ((word & 0xc0000000) !== 0 && (word & 0x20000000) === 0) push(runs, page + index, page + index + 1);
      }
      page += wanted;
    }
  }
  return runs;
}

/** Appends a run, joined to the last one where they touch. */
export function push(runs: PageRuns, start: number, end: number): void {
  const last = runs.length - 2;
  if (last >= 0 && runs[last]! + runs[last + 1]! === start) runs[last + 1]! += end - start;
  else runs.push(start, end - start);
}

/** The parts of a span that lie in none of the others (rising, disjoint). */
export function outside(span: Span, others: readonly Span[]): Span[] {
  const parts: Span[] = [];
  let { start } = span;
  for (const other of others) {
    if (other.end <= start) continue;
    if (other.start >= span.end) break;
    if (other.start > start) parts.push({ start, end: other.start });
    start = other.end;
  }
  if (start < span.end) parts.push({ start, end: span.end });
  return parts;
}

/** The part of `runs` inside the span; `from` is where to start looking (an index), returned advanced. */
export function runsWithin(runs: PageRuns, span: Span, from: number): { runs: PageRuns; next: number } {
  const start = Number(span.start >> 12n);
  const end = Number(span.end >> 12n);
  const inside: PageRuns = [];
  let index = from;
  while (index < runs.length && runs[index]! + runs[index + 1]! <= start) index += 2;
  while (index < runs.length && runs[index]! < end) {
    const low = Math.max(runs[index]!, start);
    const high = Math.min(runs[index]! + runs[index + 1]!, end);
    inside.push(low, high - low);
    if (runs[index]! + runs[index + 1]! > end) break;
    index += 2;
  }
  return { runs: inside, next: index };
}
