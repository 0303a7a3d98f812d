/** /proc/PID/smaps (`man 5 proc_pid_smaps`, fs/proc/task_mmu.c: show_smap), in one pass. */
import { parseVmaLine, type Vma } from './maps.ts';
import { readProcBytes } from './read.ts';
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
  /** kB; THPeligible and ProtectionKey are plain numbers. Read from the text when first asked for. */
  readonly sizes: Readonly<Record<SmapsSize, number>>;
  /** The two-letter names of `man 5 proc_pid_smaps` (`rd`, `gd`, `wf`, …). Areas with equal flags share one set. */
  readonly vmFlags: ReadonlySet<string>;
}

const flagsPrefix = 'VmFlags:';
const flagsLine = `\n${flagsPrefix}`;

/** The areas of /proc/PID/smaps in address order. `isLatin1`: the text was decoded as that. */
export function parseSmaps(text: string, isLatin1 = false): SmapsVma[] {
  const vmas: SmapsVma[] = [];
  const flagSets = new Map<string, ReadonlySet<string>>();
  let flagsAfter = 0;
  for (let at = 0; at < text.length;) {
    const headEnd = lineEnd(text, at);
    const parsed = parseVmaLine(text, at, headEnd);
    const vma = isLatin1 && parsed.path !== '' ? withPath(parsed) : parsed;
    const sizesAt = headEnd + 1;
    let vmFlags: ReadonlySet<string> = emptySet;
    at = sizesAt;
    // Lines of sizes are padded, so the flags stand where they stood in the area before: most of the text is not looked at.
    if (flagsAfter > 0 && text.startsWith(flagsLine, sizesAt + flagsAfter - 1)) at += flagsAfter;
    // A head line begins with a small hexadecimal digit, all other lines with a capital letter.
    while (at < text.length && isCapital(text.charCodeAt(at))) {
      const end = lineEnd(text, at);
      if (text.startsWith(flagsPrefix, at)) {
        flagsAfter = at - sizesAt;
        vmFlags = flagSet(flagSets, text.slice(at + flagsPrefix.length, end));
      }
      at = end + 1;
    }
    vmas.push(new SmapsArea(vma, vmFlags, text, sizesAt, at));
  }
  return vmas;
}

/** The areas of a process. The kernel walks all page tables for it: use {@link readMaps} where its answer is enough. */
export function readSmaps(pid: number): SmapsVma[] {
  return parseSmaps(latin1(readProcBytes(pid, 'smaps')), true);
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}

/** Decodes the path alone as UTF-8: the text of 20,000 areas has 15 MB, and is ASCII but for paths. */
function withPath(vma: Vma): Vma {
  return /[\x80-\xff]/.test(vma.path) ? { ...vma, path: Buffer.from(vma.path, 'latin1').toString('utf8') } : vma;
}

const emptySet: ReadonlySet<string> = new Set();
const noSizes = Object.fromEntries(sizeNames.map((name) => [name, 0])) as Readonly<Record<SmapsSize, number>>;

/** 24 numbers for each of 10,000 areas take longer to read than all else, and few are ever looked at: hence on demand. */
class SmapsArea implements SmapsVma {
  readonly start: bigint;
  readonly end: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly shared: boolean;
  readonly offset: bigint;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  readonly path: string;
  readonly deleted: boolean;
  readonly vmFlags: ReadonlySet<string>;
  readonly #text: string;
  readonly #sizesAt: number;
  readonly #sizesEnd: number;
  #sizes: Readonly<Record<SmapsSize, number>> | undefined;

  constructor(vma: Vma, vmFlags: ReadonlySet<string>, text: string, sizesAt: number, sizesEnd: number) {
    this.start = vma.start;
    this.end = vma.end;
    this.read = vma.read;
    this.write = vma.write;
    this.execute = vma.execute;
    this.shared = vma.shared;
    this.offset = vma.offset;
    this.deviceMajor = vma.deviceMajor;
    this.deviceMinor = vma.deviceMinor;
    this.inode = vma.inode;
    this.path = vma.path;
    this.deleted = vma.deleted;
    this.vmFlags = vmFlags;
    this.#text = text;
    this.#sizesAt = sizesAt;
    this.#sizesEnd = sizesEnd;
  }

  get sizes(): Readonly<Record<SmapsSize, number>> {
    this.#sizes ??= parseSizes(this.#text, this.#sizesAt, this.#sizesEnd);
    return this.#sizes;
  }
}

function parseSizes(text: string, start: number, stop: number): Readonly<Record<SmapsSize, number>> {
  const sizes = { ...noSizes };
  for (let at = start; at < stop;) {
    const end = lineEnd(text, at);
    const colon = text.indexOf(':', at);
    const name = text.slice(at, colon);
    if (isSizeName(name)) sizes[name] = sizeOf(text, colon + 1, end);
    at = end + 1;
  }
  return sizes;
}

function isSizeName(name: string): name is SmapsSize {
  return Object.hasOwn(noSizes, name);
}

function isCapital(code: number): boolean {
  return code >= 0x41 && code <= 0x5a;
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
