/**
 * What all mappings have in common. A mapping is made writable while its pages arrive and gets its own protection,
 * advice and lock when its record closes.
 */
import { readFileSync } from 'node:fs';
import { s, type OptionalField, type Schema } from '../image/schema.ts';
import type { SmapsVma } from '../linux/proc/smaps.ts';
import { outside, type PageRuns, type Span } from '../linux/pagemap.ts';
import type { SyscallName } from '../linux/syscalls.ts';
import type { Blocker } from '../errors.ts';
import { rangesOf } from '../linux/process-memory.ts';
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
  readonly lockedOnFault: OptionalField<boolean>;
  readonly guards: OptionalField<readonly number[]>;
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
  /** MLOCK_ONFAULT: only what is touched is locked. */
  readonly lockedOnFault?: boolean | undefined;
  /** Pages that MADV_GUARD_INSTALL made inaccessible, as runs. */
  readonly guards?: readonly number[] | undefined;
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
const ordinaryFlags = new Set(['rd', 'wr', 'ex', 'sh', 'mr', 'mw', 'me', 'ms', 'gd', 'ac', 'nr', 'sd', 'lo', 'lf', 'gu']);

const keepAway = 'Run the program without it.';
/** Flags that stand in the way, with what they mean. Source: fs/proc/task_mmu.c: show_smap_vma_flags. */
const refusedFlags: Readonly<Record<string, readonly [reason: string, remedy: string]>> = {
  sl: ['it is sealed (mseal): what follows it in a restart could not be put in place', keepAway],
  um: [
    'userfaultfd watches it for missing pages',
    'After a lazy restart, wait until all memory has arrived; else let the program unregister it from its userfaultfd.',
  ],
  uw: ['userfaultfd watches it for writes', 'Let the program unregister it from its userfaultfd.'],
  ui: ['userfaultfd watches it for minor faults', 'Let the program unregister it from its userfaultfd.'],
  io: ['it is memory of a device', keepAway],
  pf: ['a device driver fills it', keepAway],
  ss: ['it is a shadow stack', 'Run the program with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off.'],
  ht: ['it maps a file of huge pages', keepAway],
};

export const mappingFields: MappingFields = {
  start: s.hex(s.u64()),
  end: s.hex(s.u64()),
  protection: s.text(4),
  advice: s.array(s.text(32), 32),
  locked: s.optional(s.bool()),
  lockedOnFault: s.optional(s.bool()),
  guards: s.optional(s.array(s.uint(), 1 << 16)),
  stored: s.uint(),
};

const none: ReadonlySet<string> = new Set();

interface FlagMeaning {
  readonly advice: readonly string[];
  /** The first that is not known. */
  readonly unknown: string | undefined;
}

/** Areas with equal flags share one set, so it is looked at once: there may be tens of thousands of areas. */
const meanings = new WeakMap<ReadonlySet<string>, FlagMeaning>();

function meaningOf(flags: ReadonlySet<string>, alsoOrdinary: ReadonlySet<string>): FlagMeaning {
  const known = alsoOrdinary === none ? meanings.get(flags) : undefined;
  if (known !== undefined) return known;
  const advice = [...flags].flatMap((flag) => adviceOfFlag[flag]?.[0] ?? []);
  const unknown = [...flags].find(
    (flag) => adviceOfFlag[flag] === undefined && !ordinaryFlags.has(flag) && !alsoOrdinary.has(flag),
  );
  if (alsoOrdinary === none) meanings.set(flags, { advice, unknown });
  return { advice, unknown };
}

/** The common fields, or the flag that stands in the way. */
export function mappingBase(vma: SmapsVma, runs: PageRuns, alsoOrdinary: ReadonlySet<string> = none): MappingBase | Blocker {
  const { advice, unknown } = meaningOf(vma.vmFlags, alsoOrdinary);
  if (unknown !== undefined) return flagBlocker(vma, unknown);
  if (hasProtectionKeys() && vma.sizes.ProtectionKey > 0)
    return vmaBlocker(vma, `it has protection key ${vma.sizes.ProtectionKey}`, keepAway);
  let stored = 0;
  for (let index = 1; index < runs.length; index += 2) stored += runs[index] ?? 0;
  const protection = protectionText(vma);
  const { start, end } = vma;
  if (!vma.vmFlags.has('lo')) return { start, end, protection, advice, stored };
  const onFault = vma.vmFlags.has('lf');
  return { start, end, protection, advice, stored, locked: true, ...(onFault && { lockedOnFault: true }) };
}

let protectionKeys: boolean | undefined;

/** man 7 pkeys: where the processor has none, all keys are 0. */
function hasProtectionKeys(): boolean {
  protectionKeys ??= / ospke\b/.test(readFileSync('/proc/cpuinfo', 'latin1'));
  return protectionKeys;
}

function flagBlocker(vma: SmapsVma, flag: string): Blocker {
  return vmaBlocker(
    vma,
    refusedFlags[flag]?.[0] ?? `its flag ${flag} in /proc/PID/smaps is not supported yet`,
    refusedFlags[flag]?.[1] ?? 'Remove the mapping, or run the program without it.',
  );
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

/** Maps it in the task, in all the places; `fd` is a number in the task, -1 for anonymous memory. */
export function restartMapping(
  value: MappingBase,
  rebuild: Rebuild,
  flags: number,
  fd: number,
  offset: bigint,
  spans: readonly Span[] = [value],
): void {
  const protection = protectionBits(value.protection);
  const filling = value.stored > 0 ? protection | PROT.READ | PROT.WRITE : protection;
  const { kept = [] } = rebuild.finals;
  for (const span of spans) {
    const missing = outside(span, kept);
    for (const { start, end } of missing) {
      rebuild.room(8);
      const parameters = [start, end - start, filling, flags | MAP.FIXED_NOREPLACE, fd, offset + (start - span.start)];
      rebuild.batch.add('map memory', 'mmap', parameters);
    }
    // What is there already has the protection of the parent's, which is that of the record.
    for (const { start, end } of filling === protection ? [] : outside(span, missing)) {
      rebuild.room(1);
      rebuild.batch.add('open memory', 'mprotect', [start, end - start, filling]);
    }
  }
  completeMapping(value, rebuild, filling, spans);
}

/** What must follow the pages of a mapping that has the protection `filling` so far. */
export function completeMapping(value: MappingBase, rebuild: Rebuild, filling: number, spans: readonly Span[] = [value]): void {
  const protection = protectionBits(value.protection);
  const after: (() => void)[] = [];
  const forEach = (action: string, name: SyscallName, ...more: number[]): void => {
    after.push(() => {
      for (const { start, end } of spans) {
        rebuild.room(1);
        rebuild.batch.add(action, name, [start, end - start, ...more]);
      }
    });
  };
  if (filling !== protection) forEach('protect memory', 'mprotect', protection);
  const early = ['HUGEPAGE', 'NOHUGEPAGE']; // the pages shall come as they are wanted
  for (const [name, number] of Object.values(adviceOfFlag)) {
    if (!value.advice.includes(name)) continue;
    forEach(`advise ${name}`, 'madvise', number);
    if (early.includes(name)) after.pop()?.();
  }
  const MADV_GUARD_INSTALL = 102;
  for (const { address, length } of rangesOf(value.guards ?? [])) {
    after.push(() => {
      rebuild.room(1);
      rebuild.batch.add('guard pages', 'madvise', [address, length, MADV_GUARD_INSTALL]);
    });
  }
  const MLOCK_ONFAULT = 1;
  if (value.locked === true) forEach('lock memory', 'mlock2', value.lockedOnFault === true ? MLOCK_ONFAULT : 0);
  rebuild.finals.vma = { spans, after };
}

/** When the record closes: whatever must follow the pages. */
export function closeMapping(rebuild: Rebuild): void {
  for (const step of rebuild.finals.vma?.after ?? []) step();
  delete rebuild.finals.vma;
}
