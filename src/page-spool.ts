/** Copies of pages in a file without a name, the latest of each: what was copied of a process while it ran. */
import { closeSync, constants, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { StasisError } from './errors.ts';
import { pageSize, type PageRuns } from './linux/pagemap.ts';

export class PageSpool implements Disposable {
  readonly #fd: number;
  /** Where the latest copy of a page stands, in pages from the begin of the file. */
  readonly #places = new Map<number, number>();
  #end = 0;

  constructor() {
    this.#fd = openNameless();
  }

  /** The pages of these runs stand one after the other at the begin of `bytes`. */
  append(runs: PageRuns, bytes: Uint8Array): void {
    const from = this.#end;
    for (let index = 0; index < runs.length; index += 2) {
      const end = runs[index]! + runs[index + 1]!;
      for (let page = runs[index]!; page < end; page++) this.#places.set(page, this.#end++);
    }
    const length = (this.#end - from) * pageSize;
    for (let done = 0; done < length;) done += writeSync(this.#fd, bytes, done, length - done, from * pageSize + done);
  }

  /** Puts pages that have been copied one after the other to the begin of `into`. */
  read(runs: PageRuns, into: Uint8Array): void {
    let to = 0;
    for (let index = 0; index < runs.length; index += 2) {
      const end = runs[index]! + runs[index + 1]!;
      for (let page = runs[index]!; page < end;) {
        const place = this.#places.get(page);
        if (place === undefined) throw new StasisError('FAILED', `Page ${page.toString(16)} was not copied`);
        let count = 1;
        while (page + count < end && this.#places.get(page + count) === place + count) count++;
        for (let done = 0; done < count * pageSize;) {
          const got = readSync(this.#fd, into, to + done, count * pageSize - done, place * pageSize + done);
          if (got === 0) throw new StasisError('FAILED', 'The file of copied pages is shorter than it was');
          done += got;
        }
        page += count;
        to += count * pageSize;
      }
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;

function openNameless(): number {
  try {
    return openSync(tmpdir(), O_TMPFILE | constants.O_RDWR, 0o600);
  } catch {
    // a file system without O_TMPFILE
    const path = join(tmpdir(), `stasis-pages-${process.pid}-${process.hrtime.bigint()}`);
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, 0o600);
    rmSync(path);
    return fd;
  }
}
