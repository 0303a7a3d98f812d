/**
 * Rolling files back to what an image says. Their content is written beside them while the image is read, and takes their
 * place when all of it has been read and found whole; of a file that a process executes or maps, when that comes.
 */
import { chmodSync, closeSync, constants, fchmodSync, fchownSync, fstatSync, ftruncateSync, lchownSync, lstatSync, mkdirSync, openSync, readSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, type BigIntStats } from 'node:fs'; // prettier-ignore
import { dirname, join } from 'node:path';
import { decodePreamble, preambleSize } from '../image/framing.ts';
import { StasisError } from '../errors.ts';
import type { CarriedFile } from './carried-file.ts';
import type { Finals } from './object.ts';
import { fileStore, setModified } from './shared-memory-making.ts';

type Store = NonNullable<NonNullable<Finals['vma']>['store']>;

interface Staged {
  readonly value: CarriedFile;
  /** The new content, where it differs or might. */
  readonly temporary?: string;
}

const ignore: Store = () => {};

export class Rollback implements Disposable {
  readonly #notes: string[];
  readonly #staged = new Map<string, Staged>();
  /** Directories that are to be made again, perhaps in the place of something else. */
  readonly #missing = new Set<string>();
  #count = 0;
  #open: { readonly fd: number; readonly path: string } | undefined;

  constructor(notes: string[]) {
    this.#notes = notes;
  }

  /** Takes note of a file; its content goes to what is returned. */
  stage(value: CarriedFile): Store {
    this.#closeOpen();
    if (this.#staged.has(value.path)) throw new StasisError('IMAGE', `The image carries ${value.path} twice`);
    return this.#attempt(value.path, () => {
      if (value.type === 'directory' && !this.#isThere(value.path)) this.#missing.add(value.path);
      if (value.type !== 'file' || isAsItWas(value)) {
        this.#staged.set(value.path, { value });
        return ignore;
      }
      let near = dirname(value.path);
      while (!this.#isThere(near) && near !== '/') near = dirname(near);
      const temporary = join(near, `.stasis-${process.pid}-${this.#count++}`);
      const { O_RDWR, O_CREAT, O_EXCL } = constants;
      const fd = openSync(temporary, O_RDWR | O_CREAT | O_EXCL, 0o600);
      this.#open = { fd, path: value.path };
      this.#staged.set(value.path, { value, temporary });
      ftruncateSync(fd, Number(value.size));
      return fileStore(fd, value.size);
    });
  }

  /** A directory, and not in one that comes in the place of something else: a link there would lead elsewhere. */
  #isThere(path: string): boolean {
    return !this.#missing.has(path) && !this.#missing.has(dirname(path)) && statOf(path)?.isDirectory() === true;
  }

  /** The file is needed now. */
  commit(path: string): void {
    this.#closeOpen();
    const staged = this.#staged.get(path);
    if (staged?.temporary === undefined) return;
    for (const directory of this.#missing)
      if (path.startsWith(`${directory}/`)) this.#attempt(directory, () => this.#makeDirectory(directory));
    mkdirSync(dirname(path), { recursive: true });
    this.#attempt(path, () => this.#place(staged));
    this.#staged.set(path, { value: staged.value });
  }

  /** Everything has been read. */
  commitAll(): void {
    for (const path of this.#missing) this.#attempt(path, () => this.#makeDirectory(path));
    for (const path of this.#staged.keys()) this.commit(path);
    const values = [...this.#staged.values()].map(({ value }) => value);
    for (const value of values) if (value.type !== 'file') this.#attempt(value.path, () => this.#finishOther(value));
    // The innermost first: whatever is changed in a directory changes its time.
    for (const value of values.toReversed())
      if (value.type === 'directory') this.#attempt(value.path, () => setPathModified(value.path, value.modified));
  }

  #makeDirectory(path: string): void {
    if (statOf(path)?.isDirectory() !== true) {
      rmSync(path, { force: true });
      mkdirSync(path, { recursive: true, mode: 0o700 });
    }
    this.#missing.delete(path);
  }

  #place({ value, temporary = '' }: Staged): void {
    const there = statOf(value.path);
    if (there?.isDirectory() === true) rmSync(value.path, { recursive: true });
    const fd = openSync(temporary, constants.O_RDWR);
    try {
      this.#setOwner(value, fstatSync(fd), () => fchownSync(fd, value.uid, value.gid));
      fchmodSync(fd, value.mode);
      setModified(fd, value.modified);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, value.path);
  }

  #finishOther(value: CarriedFile): void {
    if (value.type === 'link') {
      if (linkTarget(value.path) === value.target) return;
      rmSync(value.path, { recursive: true, force: true });
      symlinkSync(value.target ?? '', value.path);
    } else {
      this.#removeAdded(value.path);
      chmodSync(value.path, value.mode);
    }
    this.#setOwner(value, lstatSync(value.path), () => lchownSync(value.path, value.uid, value.gid));
  }

  /** Files, links and directories that the directory did not have. */
  #removeAdded(directory: string): void {
    const { dev } = lstatSync(directory, { bigint: true });
    for (const name of readdirSync(directory)) {
      const path = directory === '/' ? `/${name}` : `${directory}/${name}`;
      const stat = statOf(path);
      if (stat === undefined || stat.dev !== dev || this.#staged.has(path) || isImage(path, stat)) continue;
      if (stat.isFile() || stat.isSymbolicLink() || stat.isDirectory()) rmSync(path, { recursive: true });
    }
  }

  #setOwner({ path, uid, gid }: CarriedFile, now: { uid: number; gid: number }, set: () => void): void {
    if (now.uid === uid && now.gid === gid) return;
    try {
      set();
    } catch {
      this.#notes.push(`${path} belongs to ${now.uid}:${now.gid} now: giving it to ${uid}:${gid} needs root.`);
    }
  }

  #closeOpen(): void {
    if (this.#open !== undefined) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #attempt<T>(path: string, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      if (cause instanceof StasisError && cause.code === 'IMAGE') throw cause;
      const hint = 'Restart as a user who may write there.';
      throw new StasisError('RESTART_FAILED', `Cannot roll back ${path}`, { phase: 'restore', cause, hint });
    }
  }

  /** What was never needed goes away. */
  [Symbol.dispose](): void {
    this.#closeOpen();
    for (const { temporary } of this.#staged.values()) if (temporary !== undefined) rmSync(temporary, { force: true });
    this.#staged.clear();
  }
}

function statOf(path: string): BigIntStats | undefined {
  return lstatSync(path, { bigint: true, throwIfNoEntry: false });
}

function isAsItWas({ path, size, modified, mode, uid, gid }: CarriedFile): boolean {
  const now = statOf(path);
  if (now?.isFile() !== true || now.size !== size || now.mtimeNs !== modified) return false;
  return (Number(now.mode) & 0o7777) === mode && Number(now.uid) === uid && Number(now.gid) === gid;
}

/** An image may well have been written into the directory that it carries. */
function isImage(path: string, stat: BigIntStats): boolean {
  if (!stat.isFile()) return false;
  try {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const start = new Uint8Array(preambleSize);
      readSync(fd, start, 0, preambleSize, 0);
      decodePreamble(start);
      return true;
    } finally {
      closeSync(fd);
    }
  } catch {
    return false;
  }
}

function linkTarget(path: string): string | undefined {
  return statOf(path)?.isSymbolicLink() === true ? readlinkSync(path) : undefined;
}

function setPathModified(path: string, modified: bigint): void {
  const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    setModified(fd, modified);
  } finally {
    closeSync(fd);
  }
}
