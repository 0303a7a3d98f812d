/** What mincore answers, as runs. Source: man 2 mincore. */
import { push, type PageRuns } from './pagemap.ts';

/** Adds the pages that are in memory; `vector` is one byte a page, `first` the number of the first. */
export function residentPages(runs: PageRuns, vector: Uint8Array, first: number): void {
  for (let index = 0; index < vector.length; index++) {
    if ((vector[index]! & 1) !== 0) push(runs, first + index, first + index + 1);
  }
}
