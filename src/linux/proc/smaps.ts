/** /proc/PID/smaps (`man 5 proc_pid_smaps`, fs/proc/task_mmu.c: show_smap), in one pass. */
import { parseVmaLine, type Vma } from './maps.ts';
import { readProcText } from './read.ts';
import { decimal, lineEnd, malformed, skipBlanks } from './scan.ts';

/**
 * The sizes of an area by the kernel's names, in kB, in the kernel's order. Names that this kernel does not write are 0;
 * names that are not listed here are passed over.
 */
const sizeNames = [
  'Size',
  'KernelPageSize',
  'MMUPageSize',
  'Rss',
  'Pss',
  'Pss_Dirty',
  'Shared_Clean',
  'Shared_Dirty',
  'Private_Clean',
  'Private_Dirty',
  'Referenced',
  'Anonymous',
  'KSM',
  'LazyFree',
  'AnonHugePages',
  'ShmemPmdMapped',
  'FilePmdMapped',
  'Shared_Hugetlb',
  'Private_Hugetlb',
  'Swap',
  'SwapPss',
  'Locked',
  'THPeligible',
  'ProtectionKey',
] as const;

export type SmapsSize = (typeof sizeNames)[number];

/** An area with what the kernel counts about it. */
export interface SmapsVma extends Vma {
  /** kB; THPeligible and ProtectionKey are plain numbers. */
  readonly sizes: Readonly<Record<SmapsSize, number>>;
  /** The two-letter names of `man 5 proc_pid_smaps` (`rd`, `gd`, `wf`, …). Areas with equal flags share one set. */
  readonly vmFlags: ReadonlySet<string>;
}

const prefixes: readonly string[] = sizeNames.map((name) => `${name}:`);
const flagsPrefix = 'VmFlags:';
const noSizes: Readonly<Record<SmapsSize, number>> = Object.fromEntries(sizeNames.map((name) => [name, 0])) as Record<SmapsSize, number>;

/** The areas of /proc/PID/smaps in address order. */
export function parseSmaps(text: string): SmapsVma[] {
  const vmas: SmapsVma[] = [];
  const flagSets = new Map<string, ReadonlySet<string>>();
  let at = 0;
  while (at < text.length) {
    const headEnd = lineEnd(text, at);
    const vma = parseVmaLine(text, at, headEnd);
    at = headEnd + 1;
    const sizes = { ...noSizes };
    let vmFlags: ReadonlySet<string> = emptySet;
    // Every area repeats the same names in the same order, so the next one is guessed before it is searched.
    let guess = 0;
    // A head line begins with a small hexadecimal digit, all other lines with a capital letter.
    while (at < text.length && isCapital(text.charCodeAt(at))) {
      const end = lineEnd(text, at);
      if (text.startsWith(flagsPrefix, at)) {
        vmFlags = flagSet(flagSets, text.slice(at + flagsPrefix.length, end));
      } else {
        const index = text.startsWith(prefixes[guess] ?? '\n', at) ? guess : findPrefix(text, at);
        const name = sizeNames[index];
        if (name !== undefined) {
          sizes[name] = sizeOf(text, at + name.length + 1, end);
          guess = index + 1;
        }
      }
      at = end + 1;
    }
    vmas.push({ ...vma, sizes, vmFlags });
  }
  return vmas;
}

/** The areas of a process. The kernel walks all page tables for it: use {@link readMaps} where its answer is enough. */
export function readSmaps(pid: number): SmapsVma[] {
  return parseSmaps(readProcText(pid, 'smaps'));
}

const emptySet: ReadonlySet<string> = new Set();

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
}

function findPrefix(text: string, at: number): number {
  return prefixes.findIndex((prefix) => text.startsWith(prefix, at));
}

function sizeOf(text: string, at: number, lineStop: number): number {
  const start = skipBlanks(text, at);
  let end = start;
  while (end < lineStop && text.charCodeAt(end) !== 0x20) end++;
  const value = decimal(text, start, end);
  return Number.isNaN(value) ? malformed('smaps', text.slice(at, lineStop)) : value;
}

function flagSet(known: Map<string, ReadonlySet<string>>, words: string): ReadonlySet<string> {
  let set = known.get(words);
  if (set === undefined) {
    set = new Set(words.split(' ').filter((word) => word !== ''));
    known.set(words, set);
  }
  return set;
}
