/** Patterns for paths, as a shell has them, and the files below a directory that match. Source: man 7 glob. */
import { lstatSync, readdirSync, type BigIntStats } from 'node:fs';

/** `*` and `?` within a name, `[…]`, and `**` for any number of directories. */
export function globToRegExp(pattern: string): RegExp {
  let source = '';
  for (let at = 0; at < pattern.length; at++) {
    const character = pattern.charAt(at);
    const set = character === '[' ? /^\[([!^]?)(\]?[^\]]*)\]/.exec(pattern.slice(at)) : null;
    if (pattern.startsWith('**/', at)) {
      source += '(?:[^/]+/)*';
      at += 2;
    } else if (pattern.startsWith('**', at)) {
      source += '.*';
      at += 1;
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += '[^/]';
    else if (set !== null) {
      source += `[${set[1] === '' ? '' : '^'}${(set[2] ?? '').replaceAll('\\', '\\\\')}]`;
      at += set[0].length - 1;
    } else source += character.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
  }
  return new RegExp(`^${source}$`, 's');
}

export interface FoundFile {
  readonly path: string;
  readonly stat: BigIntStats;
  /** It, or a directory above it, is named by the pattern: what is in it belongs to it. */
  readonly whole: boolean;
}

/** Everything that an absolute pattern names: files, and directories with all that is in them on their file system. */
export function findFiles(pattern: string): FoundFile[] {
  const trimmed = pattern.replace(/\/(\*\*)?\/*$/, '') || '/'; // DIRECTORY/** is the directory with all that is in it
  const magic = /[*?[]/.exec(trimmed)?.index;
  const found: FoundFile[] = [];
  if (magic === undefined) {
    const stat = lstatSync(trimmed, { bigint: true, throwIfNoEntry: false });
    if (stat !== undefined) addWhole({ path: trimmed, stat, whole: true }, found);
    return found;
  }
  const base = trimmed.slice(0, trimmed.lastIndexOf('/', magic)) || '/';
  search(base, globToRegExp(trimmed), found);
  return found;
}

function search(directory: string, pattern: RegExp, found: FoundFile[]): void {
  for (const file of entriesOf(directory)) {
    if (pattern.test(file.path)) addWhole(file, found);
    else if (file.stat.isDirectory()) search(file.path, pattern, found);
  }
}

function addWhole(file: FoundFile, found: FoundFile[]): void {
  found.push(file);
  if (!file.stat.isDirectory()) return;
  for (const inner of entriesOf(file.path)) if (inner.stat.dev === file.stat.dev) addWhole(inner, found);
}

function entriesOf(directory: string): FoundFile[] {
  const names = readdirSync(directory).sort();
  return names.flatMap((name) => {
    const path = directory === '/' ? `/${name}` : `${directory}/${name}`;
    const stat = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, stat, whole: true }];
  });
}
