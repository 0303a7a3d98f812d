/**
 * Memory that a process still shares with its parent since a fork: its pages are stored once, with the parent, and a
 * restart shares them again by forking the parent when that one's memory is whole. Source: man 2 fork,
 * Documentation/admin-guide/mm/pagemap.rst (page frame numbers, for CAP_SYS_ADMIN only).
 */
import { LocalMemory } from '../linux/ffi.ts';
import { framesOf, ownPages, pageSize, push, runsWithin, type PageRuns, type Span } from '../linux/pagemap.ts';
import { readExe } from '../linux/proc/links.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import { rangesOf, readTraced } from '../linux/process-memory.ts';
import type { Member } from './tree.ts';

/** A stopped process, as far as it matters here. */
export interface Relative {
  readonly pid: number;
  readonly vmas: readonly SmapsVma[];
}

/** What a process has from its parent. */
export interface Inheritance {
  /** Ranges that are mapped in the parent in the same way. */
  readonly kept: readonly Span[];
  /** Pages in them that the parent has and the child has not, or has otherwise. */
  readonly dropped: PageRuns;
  /** Pages in them that are the parent's. */
  readonly inherited: PageRuns;
}

const isPrivate = (vma: SmapsVma): boolean => !vma.shared && vma.path !== '[vsyscall]';
const isTime = ({ path }: SmapsVma): boolean => path === '[vdso]' || path.startsWith('[vvar');

/** undefined where there is nothing to gain, or a fork at the restart would not give it. */
export function findInheritance(child: Relative & Member, parent: Relative & Member): Inheritance | undefined {
  // Else it is made before its parent has its memory, or by somebody else (rebuild-family.ts).
  if (child.session !== child.pid && child.session !== parent.session) return undefined;
  const program = readExe(child.pid);
  if (program === undefined || program.deleted || readExe(parent.pid)?.path !== program.path) return undefined;
  const times = ({ vmas }: Relative): string =>
    vmas
      .filter(isTime)
      .map(({ start, end }) => `${start}-${end}`)
      .join();
  if (times(child) !== times(parent)) return undefined;
  const kept = keptSpans(child, parent);
  if (kept.length === 0) return undefined;
  return { kept, ...comparePages(child.pid, parent.pid, kept) };
}

/** Of a copy that the kernel has made by a fork: everything that a fork copies. */
export function inheritAll({ pid, vmas }: Relative): Inheritance {
  const kept = vmas.filter((vma) => isPrivate(vma) && !isTime(vma) && !notForked.some((flag) => vma.vmFlags.has(flag)));
  return { kept: kept.map(({ start, end }) => ({ start, end })), dropped: [], inherited: ownPages(pid, kept) };
}

function keptSpans(child: Relative, parent: Relative): Span[] {
  const kept: Span[] = [];
  let at = 0;
  for (const vma of child.vmas) {
    while (at < parent.vmas.length && parent.vmas[at]!.end <= vma.start) at++;
    for (let index = at; index < parent.vmas.length && parent.vmas[index]!.start < vma.end; index++) {
      const origin = parent.vmas[index]!;
      if (!isPrivate(vma) || !isPrivate(origin) || isTime(vma) || !isAlike(vma, origin)) continue;
      const start = vma.start > origin.start ? vma.start : origin.start;
      const end = vma.end < origin.end ? vma.end : origin.end;
      kept.push({ start, end });
    }
  }
  return kept;
}

/** MADV_DONTFORK, MADV_WIPEONFORK. */
const notForked = ['dc', 'wf'];
/** Locks are not inherited; whether there was a write matters only to the kernel. */
const irrelevant = new Set(['lo', 'sd']);

function isAlike(vma: SmapsVma, origin: SmapsVma): boolean {
  if (notForked.some((flag) => origin.vmFlags.has(flag) || vma.vmFlags.has(flag))) return false;
  const text = ({ read, write, execute, deviceMajor, deviceMinor, inode, path, deleted, vmFlags }: SmapsVma): string => {
    const flags = [...vmFlags].filter((flag) => !irrelevant.has(flag)).join();
    return [read, write, execute, deviceMajor, deviceMinor, inode, path, deleted, flags].join(' ');
  };
  const isSamePlace = vma.inode === 0n || vma.offset - origin.offset === vma.start - origin.start;
  return isSamePlace && text(vma) === text(origin);
}

function comparePages(child: number, parent: number, kept: readonly Span[]): Pick<Inheritance, 'dropped' | 'inherited'> {
  const dropped: PageRuns = [];
  const inherited: PageRuns = [];
  const [ours, theirs] = [ownPages(child, kept), ownPages(parent, kept)];
  let [atOurs, atTheirs] = [0, 0];
  for (const span of kept) {
    const own = runsWithin(ours, span, atOurs);
    const original = runsWithin(theirs, span, atTheirs);
    [atOurs, atTheirs] = [own.next, original.next];
    const common = intersection(own.runs, original.runs);
    const same = samePages(child, parent, common);
    for (let index = 0; index < same.length; index += 2) push(inherited, same[index]!, same[index]! + same[index + 1]!);
    for (const [first, end] of pairs(difference(original.runs, same))) push(dropped, first, end);
  }
  return { dropped, inherited };
}

function* pairs(runs: PageRuns): Generator<[first: number, end: number]> {
  for (let index = 0; index < runs.length; index += 2) yield [runs[index]!, runs[index]! + runs[index + 1]!];
}

function intersection(a: PageRuns, b: PageRuns): PageRuns {
  const result: PageRuns = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [endA, endB] = [a[i]! + a[i + 1]!, b[j]! + b[j + 1]!];
    const [low, high] = [Math.max(a[i]!, b[j]!), Math.min(endA, endB)];
    if (low < high) push(result, low, high);
    if (endA < endB) i += 2;
    else j += 2;
  }
  return result;
}

/** The pages of `a` that are not in `b`. */
export function difference(a: PageRuns, b: PageRuns): PageRuns {
  const result: PageRuns = [];
  let j = 0;
  for (const [first, end] of pairs(a)) {
    let at = first;
    while (j < b.length && b[j]! + b[j + 1]! <= at) j += 2;
    for (let k = j; k < b.length && b[k]! < end; k += 2) {
      if (b[k]! > at) push(result, at, b[k]!);
      at = Math.max(at, b[k]! + b[k + 1]!);
    }
    if (at < end) push(result, at, end);
  }
  return result;
}

/** By their page frames where the kernel shows them, else by their content. */
function samePages(child: number, parent: number, runs: PageRuns): PageRuns {
  const same: PageRuns = [];
  for (const [first, end] of pairs(runs)) {
    for (let from = first; from < end; from += maxPages) {
      const count = Math.min(maxPages, end - from);
      const frames = framesOf(child, from, count);
      const isSame = frames.some((frame) => frame !== 0n)
        ? sameFrames(frames, framesOf(parent, from, count))
        : sameContent(child, parent, from, count);
      for (let index = 0; index < count; index++) if (isSame(index)) push(same, from + index, from + index + 1);
    }
  }
  return same;
}

const maxPages = 1024;

function sameFrames(a: BigUint64Array, b: BigUint64Array): (index: number) => boolean {
  return (index) => a[index] !== 0n && a[index] === b[index];
}

function sameContent(child: number, parent: number, first: number, count: number): (index: number) => boolean {
  const [a, b] = ['child', 'parent'].map((name) => LocalMemory.scratch(`pages of the ${name}`, maxPages * pageSize)) as [
    LocalMemory,
    LocalMemory,
  ];
  readTraced(child, a, rangesOf([first, count]));
  readTraced(parent, b, rangesOf([first, count]));
  const bytes = Buffer.from(a.bytes.buffer, a.bytes.byteOffset, a.bytes.length);
  return (index) => {
    const [from, to] = [index * pageSize, (index + 1) * pageSize];
    return bytes.compare(b.bytes, from, to, from, to) === 0;
  };
}
