/** Private anonymous memory: heap, stack, and whatever malloc and mmap gave. Source: man 2 mmap. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { StasisError, type Blocker } from '../errors.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import { pageSize, type PageRuns, type Span } from '../linux/pagemap.ts';
import { node, type ImageNode, type ObjectKind } from './object.ts';
import {
  closeMapping,
  isBlocker,
  MAP,
  mappingBase,
  mappingFields,
  restartMapping,
  type MappingBase,
  type VmaKind,
} from './vma.ts';

export interface AnonymousMapping extends MappingBase {
  readonly growsDown: boolean;
  readonly noReserve: boolean;
  /** [heap], [stack], or the name given by prctl(PR_SET_VMA_ANON_NAME) as [anon:NAME]; empty for none. */
  readonly name: string;
  /** More mappings like this one, each as the number of its first page and of its pages, rising. */
  readonly more?: readonly number[] | undefined;
  /** MAP_DROPPABLE: the kernel may take its pages away. */
  readonly droppable?: boolean | undefined;
  /** MAP_HUGETLB: bytes of a page. */
  readonly hugePage?: number | undefined;
}

const MAP_DROPPABLE = 8;
const MAP_HUGETLB = 0x40000;
const huge = new Set(['ht', 'de']);
const droppableFlag = new Set(['dp']);

/** Mappings in one record, at most; an array in an image has a limit. */
const mostAlike = 1 << 14;

const record: RecordKind<AnonymousMapping> = defineKind<AnonymousMapping>({
  tag: 0x21,
  name: 'vma-anonymous',
  container: true,
  parents: ['mm'],
  schema: s.record({
    ...mappingFields,
    growsDown: s.bool(),
    noReserve: s.bool(),
    name: s.text(256),
    more: s.optional(s.array(s.uint(), 2 * mostAlike)),
    droppable: s.optional(s.bool()),
    hugePage: s.optional(s.uint(1 << 30)),
  }),
});

const nothing: readonly ImageNode[] = [];
const PR_SET_VMA = 0x53564d41;

export const vmaAnonymous: ObjectKind<AnonymousMapping> & VmaKind = {
  record,
  title: 'Private anonymous memory',
  carried:
    'Address, protection, growing stacks, reservations without cost, advice, mlock (also on fault), guard pages, huge TLB pages, MAP_DROPPABLE, names; all pages that are not zero.',
  refused: 'Memory under userfaultfd; sealed memory; protection keys.',

  recognise(vma) {
    if (vma.shared) return false;
    if (vma.path === '/dev/zero' || vma.path === '/anon_hugepage') return true;
    return vma.inode === 0n && (vma.path === '' || vma.path === '[heap]' || /^\[(stack|anon)(:.*)?\]$/.test(vma.path));
  },

  collect(vma, _collection, runs) {
    if (vma.vmFlags.has('ht') || vma.vmFlags.has('dp')) return special(vma, runs);
    const base = mappingBase(vma, runs);
    if (isBlocker(base)) return base;
    const { start, end, protection, advice, stored } = base; // no spread: that takes far longer
    const growsDown = vma.vmFlags.has('gd');
    const noReserve = vma.vmFlags.has('nr');
    const name = vma.path === '/dev/zero' ? '' : vma.path;
    const value: AnonymousMapping =
      base.locked === undefined
        ? { start, end, protection, advice, stored, growsDown, noReserve, name }
        : { ...base, growsDown, noReserve, name };
    return [{ record, value, children: nothing, pages: runs }];
  },

  restart(value, rebuild) {
    const kind = value.droppable === true ? MAP_DROPPABLE : MAP.PRIVATE;
    const pages = value.hugePage === undefined ? 0 : MAP_HUGETLB | (Math.log2(value.hugePage) << 26);
    const flags = kind | pages | MAP.ANONYMOUS | (value.growsDown ? MAP.GROWSDOWN : 0) | (value.noReserve ? MAP.NORESERVE : 0);
    const spans = spansOf(value);
    restartMapping(value, rebuild, flags, -1, 0n, spans);
    const name = /^\[anon:(.*)\]$/.exec(value.name)?.[1];
    if (name === undefined) return;
    for (const { start, end } of spans) {
      rebuild.room(2, 256);
      const { batch } = rebuild;
      batch.add(`name ${value.name}`, 'prctl', [PR_SET_VMA, 0, start, end - start, batch.text(name)], { mayFail: true });
    }
  },

  close: closeMapping,
};

/** Of huge pages, or droppable: rare, so the rest need not look at it. */
function special(vma: SmapsVma, runs: PageRuns): ImageNode[] | Blocker {
  const isHuge = vma.vmFlags.has('ht');
  const base = mappingBase(vma, runs, isHuge ? huge : droppableFlag);
  if (isBlocker(base)) return base;
  const value: AnonymousMapping = {
    ...base,
    // what MAP_DROPPABLE brings along cannot be asked for
    advice: isHuge ? base.advice : base.advice.filter((word) => !['DONTDUMP', 'WIPEONFORK'].includes(word)),
    growsDown: false,
    noReserve: isHuge && vma.vmFlags.has('nr'),
    name: isHuge ? '' : vma.path,
    ...(isHuge ? { hugePage: vma.sizes.KernelPageSize * 1024 } : { droppable: true }),
  };
  return [node(record, value, { children: [], pages: runs })];
}

/** The places of all mappings of a record. */
export function spansOf({ start, end, more = [] }: AnonymousMapping): Span[] {
  const spans: Span[] = [{ start, end }];
  if (more.length % 2 !== 0) throw new StasisError('IMAGE', 'A list of mappings ends in the middle');
  for (let index = 0; index < more.length; index += 2) {
    const from = BigInt(more[index] ?? 0) * BigInt(pageSize);
    spans.push({ start: from, end: from + BigInt(more[index + 1] ?? 0) * BigInt(pageSize) });
  }
  return spans;
}

/**
 * Puts the mappings that are alike into one record each. Programs with tens of thousands of mappings have few kinds of
 * them, and a record costs far more than a pair of numbers. The order of mappings has no meaning.
 */
export function joinAlike(nodes: readonly ImageNode[]): ImageNode[] {
  const groups: Group[] = [];
  const joined: ImageNode[] = [];
  for (const entry of nodes) {
    if (entry.record.tag !== record.tag) {
      joined.push(entry);
      continue;
    }
    const value = entry.value as AnonymousMapping;
    const group = groups.find(({ first, more }) => isAlike(first, value) && more.length < 2 * mostAlike);
    if (group === undefined) {
      groups.unshift({ first: value, more: [], pages: [entry.pages ?? []], at: joined.length });
      joined.push(entry);
    } else {
      group.more.push(Number(value.start) / pageSize, Number(value.end - value.start) / pageSize);
      group.pages.push(entry.pages ?? []);
    }
  }
  for (const { first, more, pages, at } of groups) {
    if (more.length === 0) continue;
    const runs = pages.flat();
    const stored = runs.reduce((sum, number, index) => (index % 2 === 1 ? sum + number : sum), 0);
    joined[at] = node(record, { ...first, stored, more }, { children: [], pages: runs });
  }
  return joined;
}

interface Group {
  readonly first: AnonymousMapping;
  readonly more: number[];
  readonly pages: PageRuns[];
  /** Index of its record. */
  readonly at: number;
}

function isAlike(one: AnonymousMapping, other: AnonymousMapping): boolean {
  return (
    one.protection === other.protection &&
    (one.advice === other.advice || one.advice.join() === other.advice.join()) &&
    one.locked === undefined &&
    other.locked === undefined &&
    one.guards === undefined &&
    other.guards === undefined &&
    one.hugePage === other.hugePage &&
    one.droppable === other.droppable &&
    one.growsDown === other.growsDown &&
    one.noReserve === other.noReserve &&
    one.name === other.name
  );
}
