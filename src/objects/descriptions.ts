/**
 * The open file descriptions met so far in an image, whichever process has them. Those that may be the same are kept in
 * the order that kcmp gives, which holds across processes, so that a search is short. Source: man 2 kcmp (KCMP_FILE).
 */
import { compareDescriptions, type Place } from '../linux/descriptors.ts';
import type { OpenFile } from './open-file.ts';

interface Known extends Place {
  readonly objref: number;
}

export class Descriptions {
  readonly #alike = new Map<string, Known[]>();

  /** The objref of the description behind a descriptor of `pid`, when it was met already. */
  find(pid: number, file: OpenFile): number | undefined {
    const { list, at } = this.#place(pid, file);
    const found = list[at];
    return found !== undefined && compareDescriptions({ pid, fd: file.fd }, found) === 0 ? found.objref : undefined;
  }

  add(pid: number, file: OpenFile, objref: number): void {
    const { list, at } = this.#place(pid, file);
    list.splice(at, 0, { pid, fd: file.fd, objref });
  }

  /** The first entry that is not before the file. */
  #place(pid: number, file: OpenFile): { list: Known[]; at: number } {
    const key = keyOf(file);
    const list = this.#alike.get(key) ?? [];
    this.#alike.set(key, list);
    const place = { pid, fd: file.fd };
    let low = 0;
    for (let high = list.length; low < high;) {
      const middle = (low + high) >> 1;
      const isBefore = compareDescriptions(list[middle] ?? place, place) === 1;
      if (isBefore) low = middle + 1;
      else high = middle;
    }
    return { list, at: low };
  }
}

const O_CLOEXEC = 0o2000000; // of the descriptor, not of the description

/** All anonymous files of the kernel have one inode: what else is known of them keeps the lists short. */
function keyOf({ stat, info, link }: OpenFile): string {
  const own = link.startsWith('anon_inode:') ? `${link} ${info.lines.join()}` : '';
  return `${stat.dev} ${stat.ino} ${info.flags & ~O_CLOEXEC} ${own}`;
}
