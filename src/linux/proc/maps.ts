/** /proc/PID/maps (`man 5 proc_pid_maps`, fs/proc/task_mmu.c: show_map_vma). */
import { readProcText } from './read.ts';
import { decimalBigInt, hexadecimal, hexadecimalBigInt, lineEnd, malformed, skipBlanks } from './scan.ts';

/** One virtual memory area. */
export interface Vma {
  readonly start: bigint;
  /** First address after it. */
  readonly end: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  /** MAP_SHARED, else MAP_PRIVATE. */
  readonly shared: boolean;
  /** Bytes into the file. */
  readonly offset: bigint;
  /**
   * Device and inode of the mapped file, 0 when there is none. btrfs and overlayfs may show another device here than
   * stat does: to compare files, stat /proc/PID/map_files/START-END or the path.
   */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly inode: bigint;
  /**
   * A file's path, a name such as `[heap]`, or '' for plain anonymous memory; without ` (deleted)`. The kernel writes
   * a newline as \012 and does not escape a backslash: a path in which \012 stands literally reads as a newline.
   */
  readonly path: string;
  /** The kernel appended ` (deleted)`. A live file whose own name ends that way looks the same. */
  readonly deleted: boolean;
}

const deletedSuffix = ' (deleted)';

/** The areas of /proc/PID/maps in address order. */
export function parseMaps(text: string): Vma[] {
  const vmas: Vma[] = [];
  for (let at = 0; at < text.length;) {
    const end = lineEnd(text, at);
    vmas.push(parseVmaLine(text, at, end));
    at = end + 1;
  }
  return vmas;
}

/** The areas of a process in address order. Consistent only while the process is stopped: the kernel reads in pieces. */
export function readMaps(pid: number): Vma[] {
  return parseMaps(readProcText(pid, 'maps'));
}

/**
 * The line text[at, lineStop) of maps, or the head line of an area in smaps:
 * `start-end rwxp offset major:minor inode    path`, the path padded to a column and only there when it has one.
 */
export function parseVmaLine(text: string, at: number, lineStop: number): Vma {
  const dash = text.indexOf('-', at);
  const flags = text.indexOf(' ', dash) + 1;
  const offsetAt = flags + 5;
  const device = text.indexOf(' ', offsetAt) + 1;
  const colon = text.indexOf(':', device);
  const inodeAt = text.indexOf(' ', colon) + 1;
  let inodeEnd = inodeAt;
  while (inodeEnd < lineStop && text.charCodeAt(inodeEnd) !== 0x20) inodeEnd++;
  const start = hexadecimalBigInt(text, at, dash);
  const end = hexadecimalBigInt(text, dash + 1, flags - 1);
  const offset = hexadecimalBigInt(text, offsetAt, device - 1);
  const deviceMajor = hexadecimal(text, device, colon);
  const deviceMinor = hexadecimal(text, colon + 1, inodeAt - 1);
  const inode = decimalBigInt(text, inodeAt, inodeEnd);
  if (start === undefined || end === undefined || offset === undefined || inode === undefined) {
    return malformed('maps', text.slice(at, lineStop));
  }
  if (Number.isNaN(deviceMajor + deviceMinor)) return malformed('maps', text.slice(at, lineStop));
  let path = '';
  let deleted = false;
  // No path begins with a blank: it is absolute, or a name that the kernel made up.
  const pathAt = skipBlanks(text, inodeEnd);
  if (pathAt < lineStop) {
    deleted = text.endsWith(deletedSuffix, lineStop) && lineStop - pathAt > deletedSuffix.length;
    path = text.slice(pathAt, deleted ? lineStop - deletedSuffix.length : lineStop);
    if (path.includes('\\012')) path = path.replaceAll('\\012', '\n');
  }
  return {
    start,
    end,
    read: text.charCodeAt(flags) === 0x72,
    write: text.charCodeAt(flags + 1) === 0x77,
    execute: text.charCodeAt(flags + 2) === 0x78,
    shared: text.charCodeAt(flags + 3) === 0x73,
    offset,
    deviceMajor,
    deviceMinor,
    inode,
    path,
    deleted,
  };
}
