/** The links exe, cwd, root and ns/* of /proc/PID (`man 5 proc_pid_exe`, proc_pid_cwd, proc_pid_root, `man 7 namespaces`). */
import { listProc, readProcLinkIfPresent } from './read.ts';

/** Path of a link of /proc/PID. */
export interface PathLink {
  readonly path: string;
  /** The kernel appended ` (deleted)`; a live file whose own name ends that way looks the same. */
  readonly deleted: boolean;
}

const deletedSuffix = ' (deleted)';

export function parsePathLink(link: string): PathLink {
  const deleted = link.endsWith(deletedSuffix) && link.length > deletedSuffix.length + 1;
  return { path: deleted ? link.slice(0, -deletedSuffix.length) : link, deleted };
}

/** The program file; undefined for a kernel thread and a zombie. */
export function readExe(pid: number): PathLink | undefined {
  return readPathLink(pid, 'exe');
}

/** The current directory; undefined for a zombie. */
export function readCwd(pid: number): PathLink | undefined {
  return readPathLink(pid, 'cwd');
}

/** The root directory; undefined for a zombie. */
export function readRoot(pid: number): PathLink | undefined {
  return readPathLink(pid, 'root');
}

function readPathLink(pid: number, name: string): PathLink | undefined {
  const link = readProcLinkIfPresent(pid, name);
  return link === undefined ? undefined : parsePathLink(link);
}

/** The inode number in `net:[4026531840]`; undefined for a text of another form. */
export function parseNamespaceLink(link: string): number | undefined {
  const match = /^[a-z_]+:\[(\d+)\]$/.exec(link);
  return match === null ? undefined : Number(match[1]);
}

/** Inode number of each namespace, by its name in /proc/PID/ns (`net`, `pid`, `pid_for_children`, …). Equal numbers, equal namespace. */
export function readNamespaces(pid: number): ReadonlyMap<string, number> {
  const namespaces = new Map<string, number>();
  for (const name of listProc(pid, 'ns')) {
    // pid_for_children and time_for_children are unreadable after unshare until the first child is made.
    const link = readProcLinkIfPresent(pid, `ns/${name}`);
    const inode = link === undefined ? undefined : parseNamespaceLink(link);
    if (inode !== undefined) namespaces.set(name, inode);
  }
  return namespaces;
}
