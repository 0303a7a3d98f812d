/** The descriptor tables of all processes of an image, each read once, and who of them has what open. */
import { readFdInfo } from '../linux/proc/fdinfo.ts';
import { readFdEntries } from '../linux/proc/fd-entries.ts';
import { readFdStat, type FdLink } from '../linux/proc/fds.ts';
import type { Place } from '../linux/descriptors.ts';
import type { OpenFile } from './open-file.ts';

/** A descriptor of one of the processes. */
export interface HeldFile extends Place {
  readonly file: OpenFile;
}

export class FileTables {
  readonly pids: readonly number[];
  readonly #tables = new Map<number, ReadonlyMap<number, OpenFile>>();
  #byInode: Map<string, HeldFile[]> | undefined;

  constructor(pids: readonly number[]) {
    this.pids = pids;
  }

  /** In ascending order. */
  of(pid: number): readonly OpenFile[] {
    return [...this.#table(pid).values()];
  }

  at({ pid, fd }: Place): HeldFile | undefined {
    const file = this.#table(pid).get(fd);
    return file && { pid, fd, file };
  }

  #table(pid: number): ReadonlyMap<number, OpenFile> {
    const known = this.#tables.get(pid);
    if (known !== undefined) return known;
    const table = readTable(pid);
    this.#tables.set(pid, table);
    return table;
  }

  /** All descriptors, of whichever process, that lead to the same inode. */
  holders({ stat }: Pick<OpenFile, 'stat'>): readonly HeldFile[] {
    return this.withInode(stat.ino).filter(({ file }) => file.stat.dev === stat.dev);
  }

  withInode(ino: bigint): readonly HeldFile[] {
    this.#byInode ??= this.#index();
    return this.#byInode.get(String(ino)) ?? [];
  }

  #index(): Map<string, HeldFile[]> {
    const index = new Map<string, HeldFile[]>();
    for (const pid of this.pids) {
      for (const file of this.of(pid)) {
        const key = String(file.stat.ino);
        const entry = { pid, fd: file.fd, file };
        const list = index.get(key);
        if (list === undefined) index.set(key, [entry]);
        else list.push(entry);
      }
    }
    return index;
  }
}

function readTable(pid: number): ReadonlyMap<number, OpenFile> {
  return new Map(readFdEntries(pid).map((entry) => [entry.fd, entry]));
}

/** What /proc shows of a descriptor; undefined when it is not open. */
export function readOpenFile(pid: number, link: FdLink): OpenFile | undefined {
  const stat = readFdStat(pid, link.fd);
  return stat && { ...link, stat, info: readFdInfo(pid, link.fd) };
}
