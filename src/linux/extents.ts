/** Which pages of a file hold data. Source: man 2 lseek (SEEK_DATA, SEEK_HOLE). */
import { pageSize, type PageRuns } from './pagemap.ts';
import { syscall, syscallError } from './ffi.ts';

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = -6;

/** Runs of page numbers within the file. Where the file system knows no holes it is one run. Moves the file position. */
export function dataPages(fd: number, size: bigint): PageRuns {
  const runs: PageRuns = [];
  const end = Number(size);
  for (let at = 0; at < end;) {
    const data = syscall('lseek', fd, at, SEEK_DATA);
    if (data === ENXIO) break; // nothing but a hole is left
    if (data < 0) throw syscallError('lseek', data, 'Cannot find the data of a shared memory object');
    const hole = syscall('lseek', fd, data, SEEK_HOLE);
    if (hole < 0) throw syscallError('lseek', hole, 'Cannot find the data of a shared memory object');
    const first = Math.floor(data / pageSize);
    const next = Math.ceil(Math.min(hole, end) / pageSize);
    if (next > first) runs.push(first, next - first);
    at = hole;
  }
  return runs;
}
