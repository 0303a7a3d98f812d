/**
 * Memory copied while the process runs: all of it, then again and again what was written in the meantime, until little is
 * left. The kernel tells what was written (WriteWatch); the rest is copied when the process is stopped.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { collectProcesses, type CollectOptions } from './collect.ts';
import { isNodeError } from './errors.ts';
import { freeze, type FrozenProcess } from './freeze.ts';
import { chunks } from './image-output.ts';
import type { KnownVmas } from './known-vmas.ts';
import { pageCount } from './late-pages.ts';
import { LocalMemory } from './linux/ffi.ts';
import { push, type PageRuns, type Span } from './linux/pagemap.ts';
import { rangesOf, readSome } from './linux/process-memory.ts';
import { readMaps, type Vma } from './linux/proc/maps.ts';
import type { WatchedPages, WriteWatch } from './linux/write-watch.ts';
import { PageSpool } from './page-spool.ts';
import { maxData } from './objects/pages.ts';
import type { Injector } from './tracee/injector.ts';
import { watchMemory } from './tracee/watched-memory.ts';

/** So few pages are copied in a stop that is short anyway. */
const fewPages = 1024;
const mostRounds = 8;
/** A round that leaves more than this part of the one before is not getting anywhere. */
const progress = 0.8;

export class Precopy implements Disposable {
  readonly pid: number;
  /** Milliseconds for which the process was stopped, to begin with. */
  readonly stopped: number;
  readonly #watch: WriteWatch;
  readonly #spool = new PageSpool();
  /** Pages that could not be read when they should have been. */
  readonly #failed: PageRuns = [];
  #watching = true;

  private constructor(pid: number, watch: WriteWatch, stopped: number) {
    this.pid = pid;
    this.#watch = watch;
    this.stopped = stopped;
  }

  /** Copies the memory of the process; or says why that cannot be. Throws CannotCarryError before anything is copied. */
  static async of(
    pid: number,
    known: KnownVmas | undefined,
    options: CollectOptions,
    signal: AbortSignal | undefined,
  ): Promise<Precopy | { readonly refused: string }> {
    let watch: WriteWatch | { readonly refused: string } | undefined;
    const driven = ({ leader }: FrozenProcess, injector: Injector): void => {
      watch ??= watchMemory(leader.tracee, injector);
    };
    let since: number;
    {
      using frozen = freeze(pid, { descendants: true, ...(known && { known }) });
      ({ since } = frozen);
      if (frozen.processes.length > 1) return { refused: 'it has children' };
      collectProcesses(frozen, { ...options, pagesLater: true, driven });
    }
    if (watch === undefined || 'refused' in watch) return watch ?? { refused: 'it cannot be watched' };
    const copy = new Precopy(pid, watch, performance.now() - since);
    try {
      await copy.#rounds(signal);
      return copy;
    } catch (error) {
      copy[Symbol.dispose]();
      if (isNodeError(error)) return { refused: `its pages cannot be kept in a file: ${error.code}` }; // no space in the temporary directory
      throw error;
    }
  }

  async #rounds(signal: AbortSignal | undefined): Promise<void> {
    for (const vma of readMaps(this.pid)) if (isWatched(vma)) this.#watch.add(vma);
    let before = Infinity;
    for (let round = 0; round < mostRounds; round++) {
      const written = areas(readMaps(this.pid)).flatMap(({ span, files }) => this.#watch.protect(span, files));
      const count = pageCount(written);
      await this.#copy(written, signal);
      if (count <= fewPages || count > before * progress) return;
      before = count;
    }
  }

  async #copy(runs: PageRuns, signal: AbortSignal | undefined): Promise<void> {
    const buffer = LocalMemory.scratch('precopy', maxData);
    let last = performance.now();
    for (const chunk of chunks(runs)) {
      if (readSome(this.pid, buffer.address, rangesOf(chunk))) this.#spool.append(chunk, buffer.bytes);
      else this.#copySingly(chunk, buffer);
      if (performance.now() - last < 20) continue;
      await turn();
      last = performance.now();
      signal?.throwIfAborted();
    }
  }

  /** What was unmapped or protected since is left to the end, should it be there then. */
  #copySingly(chunk: PageRuns, buffer: LocalMemory): void {
    for (let index = 0; index < chunk.length; index += 2) {
      for (let page = chunk[index]!; page < chunk[index]! + chunk[index + 1]!; page++) {
        const runs = [page, 1];
        if (readSome(this.pid, buffer.address, rangesOf(runs))) this.#spool.append(runs, buffer.bytes);
        else push(this.#failed, page, page + 1);
      }
    }
  }

  /** When the process is stopped: its own pages, by whether the copy of them is still true. */
  pages(vmas: readonly Vma[]): WatchedPages {
    const written: PageRuns = [];
    const unchanged: PageRuns = [];
    const failed = new Set<number>();
    for (let index = 0; index < this.#failed.length; index += 2)
      for (let page = this.#failed[index]!; page < this.#failed[index]! + this.#failed[index + 1]!; page++) failed.add(page);
    for (const { span, files } of areas(vmas)) {
      const found = this.#watch.look(span, files);
      const pages: number[] = [];
      for (let index = 0; index < found.unchanged.length; index += 2) {
        const [first, end] = [found.unchanged[index]!, found.unchanged[index]! + found.unchanged[index + 1]!];
        if (failed.size === 0) push(unchanged, first, end);
        else
          for (let page = first; page < end; page++) {
            if (failed.has(page)) pages.push(page, 1);
            else push(unchanged, page, page + 1);
          }
      }
      for (const [first, count] of sorted([...found.written, ...pages])) push(written, first, first + count);
    }
    return { written, unchanged };
  }

  /** Puts pages that are unchanged to the begin of `into`. */
  read(runs: PageRuns, into: Uint8Array): void {
    this.#spool.read(runs, into);
  }

  /**
   * Ends the watch, a piece at a time: the kernel holds up all page faults of the process as long as it takes back the protection
   * of a piece (20 ms per GiB). Source: fs/userfaultfd.c (mmap_write_lock).
   */
  endWatch(): void {
    if (!this.#watching) return;
    this.#watching = false;
    const piece = 64n << 20n;
    try {
      for (const { start, end } of readMaps(this.pid).filter(isWatched))
        for (let at = start; at < end; at += piece) this.#watch.remove({ start: at, end: at + piece < end ? at + piece : end });
    } finally {
      this.#watch[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    try {
      this.endWatch();
    } finally {
      this.#spool[Symbol.dispose]();
    }
  }
}

function sorted(runs: PageRuns): [first: number, count: number][] {
  const pairs: [number, number][] = [];
  for (let index = 0; index < runs.length; index += 2) pairs.push([runs[index]!, runs[index + 1]!]);
  return pairs.sort(([one], [other]) => one - other);
}

/** The kernel's own mappings ([vvar], [vdso], [vsyscall]) and shared ones are not copied here; what is in huge TLB pages neither. */
function isWatched({ shared, path }: Vma): boolean {
  return !shared && !/^\[v(var|dso|syscall)/.test(path) && !path.startsWith('/anon_hugepage');
}

/** Watched mappings that one look is enough for: neighbours, and all of files or none. */
function areas(vmas: readonly Vma[]): { span: Span; files: boolean }[] {
  const found: { span: { start: bigint; end: bigint }; files: boolean }[] = [];
  let broken = true;
  for (const vma of vmas) {
    if (!isWatched(vma)) {
      broken = true;
      continue;
    }
    const files = vma.inode !== 0n;
    const last = found.at(-1);
    if (last === undefined || broken || last.files !== files) found.push({ span: { start: vma.start, end: vma.end }, files });
    else last.span.end = vma.end;
    broken = false;
  }
  return found;
}
