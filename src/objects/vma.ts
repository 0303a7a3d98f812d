/**
 * What all mappings have in common. A mapping is made writable while its pages arrive and gets its own protection,
 * advice and lock when its record closes.
 */
import { s, type OptionalField, type Schema } from '../image/schema.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import type { PageRuns } from '../linux/pagemap.ts';
import type { Blocker } from '../errors.ts';
import type { Collection, ImageNode, Rebuild } from './object.ts';

/** A kind of mapping knows its own kind among the lines of /proc/PID/smaps. */
export interface VmaKind {
  recognise(vma: SmapsVma): boolean;
  /** The record of the mapping, with those of the objects it refers to before it; or why it cannot be carried. */
  collect(vma: SmapsVma, collection: Collection, runs: PageRuns): ImageNode[] | Blocker;
}

/** The schema of {@link MappingBase}, to be spread into that of a kind. */
export type MappingFields = {
  readonly start: Schema<bigint>;
  readonly end: Schema<bigint>;
  readonly protection: Schema<string>;
  readonly advice: Schema<readonly string[]>;
  readonly locked: OptionalField<boolean>;
  readonly stored: Schema<number>;
};

export interface MappingBase {
  readonly start: bigint;
  readonly end: bigint;
  /** As in /proc/PID/maps: r, w, x or - each. */
  readonly protection: string;
  /** Advice in force, by the names of man 2 madvise. */
  readonly advice: readonly string[];
  readonly locked?: boolean | undefined;
  /** Pages stored in this record. */
  readonly stored: number;
}

export const PROT = { READ: 1, WRITE: 2, EXEC: 4 } as const;
export const MAP = {
  SHARED: 1,
  PRIVATE: 2,
  ANONYMOUS: 0x20,
  GROWSDOWN: 0x100,
  NORESERVE: 0x4000,
  FIXED_NOREPLACE: 0x100000,
} as const;

/** VmFlags of /proc/PID/smaps that an madvise brings back. Source: fs/proc/task_mmu.c, man 2 madvise. */
const adviceOfFlag: Readonly<Record<string, readonly [name: string, number: number]>> = {
  rr: ['RANDOM', 1],
  sr: ['SEQUENTIAL', 2],
  dc: ['DONTFORK', 10],
  mg: ['MERGEABLE', 12],
  hg: ['HUGEPAGE', 14],
  nh: ['NOHUGEPAGE', 15],
  dd: ['DONTDUMP', 16],
  wf: ['WIPEONFORK', 18],
};

/** Flags that need nothing or are brought back by mmap itself. */
const ordinaryFlags = new Set(['rd', 'wr', 'ex', 'sh', 'mr', 'mw', 'me', 'ms', 'gd', 'ac', 'nr', 'sd', 'lo']);

export const mappingFields: MappingFields = {
  start: s.hex(s.u64()),
  end: s.hex(s.u64()),
  protection: s.text(4),
  advice: s.array(s.text(32), 32),
  locked: s.optional(s.bool()),
  stored: s.uint(),
};

const none: ReadonlySet<string> = new Set();

/** The common fields, or the flag that stands in the way. */
export function mappingBase(vma: SmapsVma, runs: PageRuns, alsoOrdinary: ReadonlySet<string> = none): MappingBase | Blocker {
  const advice: string[] = [];
  for (const flag of vma.vmFlags) {
    const known = adviceOfFlag[flag];
    if (known !== undefined) advice.push(known[0]);
    else if (!ordinaryFlags.has(flag) && !alsoOrdinary.has(flag)) {
      return vmaBlocker(
        vma,
        `its flag ${flag} in /proc/PID/smaps is not supported yet`,
        'Remove the mapping, or run the program without it.',
      );
    }
  }
  let stored = 0;
  for (let index = 1; index < runs.length; index += 2) stored += runs[index] ?? 0;
  const base = { start: vma.start, end: vma.end, protection: protectionText(vma), advice, stored };
  return vma.vmFlags.has('lo') ? { ...base, locked: true } : base;
}

export function isBlocker<T extends object>(value: T | Blocker): value is Blocker {
  return 'remedy' in value;
}

export function vmaBlocker(vma: SmapsVma, reason: string, remedy: string): Blocker {
  return { object: `vma ${vma.start.toString(16)}-${vma.end.toString(16)}`, place: vma.path, reason, remedy };
}

function protectionText(vma: SmapsVma): string {
  return `${vma.read ? 'r' : '-'}${vma.write ? 'w' : '-'}${vma.execute ? 'x' : '-'}`;
}

function protectionBits(text: string): number {
  return (text.includes('r') ? PROT.READ : 0) | (text.includes('w') ? PROT.WRITE : 0) | (text.includes('x') ? PROT.EXEC : 0);
}

/** Maps it in the task; `fd` is a number in the task, -1 for anonymous memory. */
export function restartMapping(value: MappingBase, rebuild: Rebuild, flags: number, fd: number, offset: bigint): void {
  const { start, end } = value;
  const length = end - start;
  const protection = protectionBits(value.protection);
  const filling = value.stored > 0 ? protection | PROT.READ | PROT.WRITE : protection;
  const place = `${start.toString(16)}-${end.toString(16)}`;
  rebuild.room(8);
  rebuild.batch.add(`map ${place}`, 'mmap', [start, length, filling, flags | MAP.FIXED_NOREPLACE, fd, offset]);
  completeMapping(value, rebuild, filling);
}

/** What must follow the pages of a mapping that has the protection `filling` so far. */
export function completeMapping(value: MappingBase, rebuild: Rebuild, filling: number): void {
  const { start, end } = value;
  const length = end - start;
  const protection = protectionBits(value.protection);
  const place = `${start.toString(16)}-${end.toString(16)}`;
  const after: (() => void)[] = [];
  if (filling !== protection) {
    after.push(() => rebuild.batch.add(`protect ${place}`, 'mprotect', [start, length, protection]));
  }
  for (const [name, number] of Object.values(adviceOfFlag)) {
    if (value.advice.includes(name))
      after.push(() => rebuild.batch.add(`advise ${name} for ${place}`, 'madvise', [start, length, number]));
  }
  if (value.locked === true) after.push(() => rebuild.batch.add(`lock ${place}`, 'mlock', [start, length]));
  rebuild.finals.vma = { start, end, after };
}

/** When the record closes: whatever must follow the pages. */
export function closeMapping(rebuild: Rebuild): void {
  rebuild.room(12);
  for (const step of rebuild.finals.vma?.after ?? []) step();
  delete rebuild.finals.vma;
}
