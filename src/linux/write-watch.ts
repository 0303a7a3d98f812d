/**
 * Which pages of another process have been written to since we last asked, without stopping it and without soft-dirty
 * bits: a userfaultfd of its address space in asynchronous write-protect mode, and PAGEMAP_SCAN. The first write to a
 * protected page costs the process a page fault that the kernel answers by itself; nobody has to listen. Closing the last
 * descriptor, also by our death, undoes everything. Since Linux 6.7. Source: Documentation/admin-guide/mm/userfaultfd.rst,
 * Documentation/admin-guide/mm/pagemap.rst, fs/userfaultfd.c (userfaultfd_release).
 */
import { closeSync, openSync } from 'node:fs';
import { LocalMemory, mustSyscall, syscall, syscallError } from './ffi.ts';
import type { PageRuns, Span } from './pagemap.ts';

const UFFDIO_API = 0xc018aa3f;
const UFFDIO_REGISTER = 0xc020aa00;
const UFFDIO_UNREGISTER = 0x8010aa01;
const UFFD_API = 0xaan;
const UFFD_FEATURE_WP_ASYNC = 1n << 15n;
const UFFDIO_REGISTER_MODE_WP = 2n;

const PAGEMAP_SCAN = 0xc0606610; // _IOWR('f', 16, struct pm_scan_arg)
const PM_SCAN_WP_MATCHING = 1n;
const PAGE_IS = { WPALLOWED: 1n, WRITTEN: 2n, FILE: 4n, PRESENT: 8n, SWAPPED: 16n, PFNZERO: 32n, GUARD: 256n } as const;
const EINVAL = -22;
const argumentSize = 96;
const regionSize = 24;
const regionCount = 4096;

/** The pages of a process that are its own, by whether they can have changed since they were last protected. */
export interface WatchedPages {
  readonly written: PageRuns;
  readonly unchanged: PageRuns;
}

export class WriteWatch implements Disposable {
  readonly #fd: number;
  readonly #pagemap: number;
  /** Guard pages count as swapped; before Linux 6.15 the kernel does not know the word. */
  #guard: bigint = PAGE_IS.GUARD;
  readonly #memory = LocalMemory.allocate(argumentSize + regionSize * regionCount + 32);

  /** `fd`: our descriptor of a userfaultfd that the process made; ours from here on. */
  constructor(pid: number, fd: number) {
    this.#fd = fd;
    const { view, address } = this.#memory;
    view.setBigUint64(0, UFFD_API, true);
    view.setBigUint64(8, UFFD_FEATURE_WP_ASYNC, true);
    mustSyscall('ioctl', `Cannot watch what ${pid} writes`, fd, UFFDIO_API, address);
    this.#pagemap = openSync(`/proc/${pid}/pagemap`, 'r');
  }

  /** Begins to watch a range of mapped memory. False for memory that cannot be watched, or is not there any more. */
  add({ start, end }: Span): boolean {
    const { view, address } = this.#memory;
    [start, end - start, UFFDIO_REGISTER_MODE_WP, 0n].forEach((word, index) => view.setBigUint64(index * 8, word, true));
    return syscall('ioctl', this.#fd, UFFDIO_REGISTER, address) === 0;
  }

  /** Ends it; ranges in the span that are not watched do not matter. */
  remove({ start, end }: Span): void {
    const { view, address } = this.#memory;
    [start, end - start].forEach((word, index) => view.setBigUint64(index * 8, word, true));
    syscall('ioctl', this.#fd, UFFDIO_UNREGISTER, address);
  }

  /** The written pages in the span, which are protected again: what is written from now on will be told the next time. */
  protect(span: Span, files: boolean): PageRuns {
    const runs: PageRuns = [];
    this.#scan(span, files, { flags: PM_SCAN_WP_MATCHING, mask: PAGE_IS.WRITTEN | PAGE_IS.WPALLOWED }, (first, count) =>
      push(runs, first, count),
    );
    return runs;
  }

  /** All own pages in the span. A page in memory that is not watched counts as written. */
  look(span: Span, files: boolean): WatchedPages {
    const pages: WatchedPages = { written: [], unchanged: [] };
    this.#scan(span, files, { flags: 0n, mask: 0n }, (first, count, categories) => {
      const clean = (categories & PAGE_IS.WPALLOWED) !== 0n && (categories & PAGE_IS.WRITTEN) === 0n;
      push(clean ? pages.unchanged : pages.written, first, count);
    });
    return pages;
  }

  /** `files`: there are file mappings, whose own pages must be told from those of the file, which takes its time. */
  #scan(
    span: Span,
    files: boolean,
    { flags, mask }: { flags: bigint; mask: bigint },
    found: (first: number, count: number, categories: bigint) => void,
  ): void {
    const { view, address } = this.#memory;
    const absent = PAGE_IS.PFNZERO | (files ? PAGE_IS.FILE : 0n);
    for (let at = span.start; at < span.end;) {
      const inverted = absent | this.#guard;
      const words = [
        BigInt(argumentSize),
        flags,
        at,
        span.end,
        0n,
        address + BigInt(argumentSize),
        BigInt(regionCount),
        0n,
        inverted,
        inverted | mask,
        PAGE_IS.PRESENT | PAGE_IS.SWAPPED,
        flags === 0n ? PAGE_IS.WPALLOWED | PAGE_IS.WRITTEN : 0n,
      ];
      words.forEach((word, index) => view.setBigUint64(index * 8, word, true));
      const count = syscall('ioctl', this.#pagemap, PAGEMAP_SCAN, address);
      if (count === EINVAL && this.#guard !== 0n) {
        this.#guard = 0n;
        continue;
      }
      if (count < 0) throw syscallError('ioctl', count, 'Cannot scan the page map');
      for (let index = 0; index < count; index++) {
        const region = argumentSize + index * regionSize;
        const first = Number(view.getBigUint64(region, true) >> 12n);
        found(first, Number(view.getBigUint64(region + 8, true) >> 12n) - first, view.getBigUint64(region + 16, true));
      }
      if (count < regionCount) return;
      at = view.getBigUint64(argumentSize + (count - 1) * regionSize + 8, true);
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    closeSync(this.#pagemap);
    this.#memory.free();
  }
}

function push(runs: PageRuns, first: number, count: number): void {
  const last = runs.length - 2;
  if (last >= 0 && runs[last]! + runs[last + 1]! === first) runs[last + 1]! += count;
  else runs.push(first, count);
}
