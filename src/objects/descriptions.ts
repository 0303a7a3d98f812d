/**
 * The open file descriptions met so far in an image, whichever process has them. Those that may be the same are kept in
 * the order that kcmp gives, which holds across processes, so that a search is short. Source: man 2 kcmp (KCMP_FILE).
 */
import { compareDescriptions, type Place } from '../linux/descriptors.ts';
import { accessMode, type OpenFile } from './open-file.ts';

interface Known extends Place {
  readonly objref: number;
}

export class Descriptions {
  readonly #alike = new Map<string, Known[]>();
  #count = 0;

  /** The objref of the description behind a descriptor of `pid`; `describe` gives it when it is met for the first time. */
  refer(pid: number, file: OpenFile, describe: () => number | undefined): number | undefined {
    const known = this.#place(pid, file);
    if (known.objref !== undefined) return known.objref;
    const before = this.#count;
    const objref = describe();
    if (objref === undefined) return undefined;
    if (before !== this.#count) this.add(pid, file, objref);
    else this.#insert(known, { pid, fd: file.fd, objref });
    return objref;
  }

  /** The objref of the description behind a descriptor of `pid`, when it was met already. */
  find(pid: number, file: OpenFile): number | undefined {
    return this.#place(pid, file).objref;
  }

  /** For a description that others may meet while it is being described. */
  add(pid: number, file: OpenFile, objref: number): void {
    const place = this.#place(pid, file);
    if (place.objref === undefined) this.#insert(place, { pid, fd: file.fd, objref });
  }

  #insert({ list, at }: { list: Known[]; at: number }, entry: Known): void {
    list.splice(at, 0, entry);
    this.#count++;
  }

  /** The first entry that is not before the file, and what it is when it is the same. */
  #place(pid: number, file: OpenFile): { list: Known[]; at: number; objref: number | undefined } {
    const key = keyOf(file);
    const list = this.#alike.get(key) ?? [];
    this.#alike.set(key, list);
    const place = { pid, fd: file.fd };
    let low = 0;
    for (let high = list.length; low < high;) {
      const middle = (low + high) >> 1;
      const known = list[middle] as Known;
      const order = compareDescriptions(known, place);
      if (order === 0) return { list, at: middle, objref: known.objref };
      if (order === 1) low = middle + 1;
      else high = middle;
    }
    return { list, at: low, objref: undefined };
  }
}

/**
 * Only what is alike in all this can be the same description; nothing in it can change while we look, as what somebody
 * outside shares could. The kernel's anonymous files have one inode, but an eventfd says which one it is.
 */
function keyOf({ stat, info, link }: OpenFile): string {
  const own = link === 'anon_inode:[eventfd]' ? (info.lines.find((line) => line.startsWith('eventfd-id')) ?? '') : '';
  return `${info.ino ?? stat.ino} ${accessMode(info.flags)} ${link} ${own}`;
}
