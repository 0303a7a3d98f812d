/** Private anonymous memory: heap, stack, and whatever malloc and mmap gave. Source: man 2 mmap. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { StasisError } from '../errors.ts';
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
}

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
  }),
});

const nothing: readonly ImageNode[] = [];
const PR_SET_VMA = 0x53564d41;

export const vmaAnonymous: ObjectKind<AnonymousMapping> & VmaKind = {
  record,
  title: 'Private anonymous memory',
  carried: 'Address, protection, growing stacks, reservations without cost, advice, mlock, names; all pages that are not zero.',
  refused: 'Shared anonymous memory; huge TLB pages; memory under userfaultfd; sealed memory.',

  recognise(vma) {
    if (vma.shared) return false;
    if (vma.path === '/dev/zero') return true;
    return vma.inode === 0n && (vma.path === '' || vma.path === '[heap]' || /^\[(stack|anon)(:.*)?\]$/.test(vma.path));
  },

  collect(vma, _collection, runs) {
    const base = mappingBase(vma, runs);
    if (isBlocker(base)) return base;
    const { start, end, protection, advice, stored } = base; // no spread: that takes far longer
    const growsDown = vma.vmFlags.has('gd');
    const noReserve = vma.vmFlags.has('nr');
    const name = vma.path === '/dev/zero' ? '' : vma.path;
    const value: AnonymousMapping =
      base.locked === undefined
        ? { start, end, protection, advice, stored, growsDown, noReserve, name }
        : { start, end, protection, advice, stored, growsDown, noReserve, name, locked: base.locked };
    return [{ record, value, children: nothing, pages: runs }];
  },

  restart(value, rebuild) {
    const flags = MAP.PRIVATE | MAP.ANONYMOUS | (value.growsDown ? MAP.GROWSDOWN : 0) | (value.noReserve ? MAP.NORESERVE : 0);
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

function spansOf({ start, end, more = [] }: AnonymousMapping): Span[] {
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
    one.locked === other.locked &&
    one.growsDown === other.growsDown &&
    one.noReserve === other.noReserve &&
    one.name === other.name
  );
}
