/**
 * Where an image goes: a path or an open descriptor. A file appears under its final name only when it is whole and on
 * the disk, and replaces what was there in one step; whatever happens before leaves no trace.
 *
 *     openSink -> write, write, … -> commit        (or discard; leaving a `using` block discards)
 */
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import { writeError, writeFully } from './descriptor.ts';
import { isNodeError, StasisError } from './errors.ts';
import { temporaryName } from './temporary-name.ts';

export type Sink = { readonly path: string } | { readonly fd: number };

export interface OpenSink extends Disposable {
  readonly fd: number;
  /** Absent for a descriptor. */
  readonly path?: string;
  /** Writes everything or throws. */
  write(parts: readonly Uint8Array[]): void;
  /** The image is whole: make it durable, give it its name, close it. A descriptor that was given stays open. */
  commit(): void;
  /** Forget it. Does nothing after commit. */
  discard(): void;
}

/**
 * Gives the open file `fd`, which has no name, the name `path`: linkat(AT_FDCWD, "/proc/self/fd/N", AT_FDCWD, path,
 * AT_SYMLINK_FOLLOW), see O_TMPFILE in man 2 open. Throws like `node:fs`. Node has no call that follows the link.
 */
export type LinkFile = (fd: number, path: string) => void;

export interface SinkOptions {
  /** With it the file has no name before it is whole, so that not even SIGKILL leaves a partial one. */
  readonly linkFile?: LinkFile;
  /**
   * A given descriptor is not synchronised with the disk, as for any command behind a redirection, unless this says so:
   * when the original is killed next. A path always is.
   */
  readonly durable?: boolean;
}

/** Opens the sink, or throws a StasisError; nothing is visible yet. */
export function openSink(sink: Sink, options: SinkOptions = {}): OpenSink {
  if ('fd' in sink) return new DescriptorSink(sink.fd, options.durable === true);
  try {
    const existing = statIfThere(sink.path);
    // /dev/null, a named pipe, a terminal: there is nothing to replace, only something to write to.
    if (existing !== undefined && !existing.isFile()) return new DeviceSink(sink.path);
    return new FileSink(existing === undefined ? sink.path : realpathSync(sink.path), options.linkFile);
  } catch (error) {
    throw writeError(error, sink.path);
  }
}

function statIfThere(path: string): Stats | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined && lstatSync(path, { throwIfNoEntry: false }) !== undefined) {
    throw new StasisError('FAILED', `Cannot write the image to ${path}: it is a symbolic link to nothing`, {
      phase: 'prepare',
      hint: 'Remove the link, or name the file itself.',
    });
  }
  return stats;
}

class DescriptorSink implements OpenSink {
  readonly fd: number;
  readonly #durable: boolean;
  readonly #name: string;

  constructor(fd: number, durable: boolean, name = `descriptor ${fd}`) {
    this.fd = fd;
    this.#durable = durable;
    this.#name = name;
  }

  write(parts: readonly Uint8Array[]): void {
    try {
      writeFully(this.fd, parts);
    } catch (error) {
      throw writeError(error, this.#name);
    }
  }

  commit(): void {
    try {
      if (this.#durable && fstatSync(this.fd).isFile()) fsyncSync(this.fd);
    } catch (error) {
      throw writeError(error, this.#name);
    }
  }

  discard(): void {}

  [Symbol.dispose](): void {}
}

class DeviceSink extends DescriptorSink {
  readonly path: string;
  #open = true;

  constructor(path: string) {
    super(openSync(path, constants.O_WRONLY | constants.O_NOCTTY), false, path);
    this.path = path;
  }

  override commit(): void {
    this.discard();
  }

  override discard(): void {
    if (this.#open) closeSync(this.fd);
    this.#open = false;
  }

  override [Symbol.dispose](): void {
    this.discard();
  }
}

const MODE = 0o600;
/** __O_TMPFILE | O_DIRECTORY, asm-generic/fcntl.h; valid on x86, ARM and RISC-V. */
const O_TMPFILE = 0o20000000 | constants.O_DIRECTORY;
/** What file systems without O_TMPFILE answer; kernels before it see a directory opened for writing. */
const NO_TMPFILE: ReadonlySet<string> = new Set(['EOPNOTSUPP', 'EISDIR', 'EINVAL', 'ENOENT']);

class FileSink implements OpenSink {
  readonly fd: number;
  readonly path: string;
  readonly #linkFile: LinkFile | undefined;
  /** The name of the file as long as it does not have its own. */
  #temporary: string | undefined;
  #open = true;

  constructor(path: string, linkFile: LinkFile | undefined) {
    this.path = path;
    this.#linkFile = linkFile;
    this.fd = (linkFile === undefined ? undefined : openNameless(dirname(path))) ?? this.#openNamed();
  }

  write(parts: readonly Uint8Array[]): void {
    try {
      writeFully(this.fd, parts);
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  commit(): void {
    try {
      fsyncSync(this.fd);
      this.#name();
      this.#close();
      syncDirectory(dirname(this.path));
    } catch (error) {
      this.discard();
      throw writeError(error, this.path);
    }
  }

  discard(): void {
    this.#close();
    if (this.#temporary !== undefined) rmSync(this.#temporary, { force: true });
    this.#temporary = undefined;
  }

  [Symbol.dispose](): void {
    this.discard();
  }

  #openNamed(): number {
    const name = temporaryName(this.path);
    const fd = openSync(name, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE);
    this.#temporary = name;
    return fd;
  }

  #name(): void {
    if (this.#temporary === undefined) {
      if (this.#linkedDirectly()) return;
      // A link cannot replace a file, a rename can.
      const name = temporaryName(this.path);
      this.#link(name);
      this.#temporary = name;
    }
    renameSync(this.#temporary, this.path);
    this.#temporary = undefined;
  }

  #linkedDirectly(): boolean {
    try {
      this.#link(this.path);
      return true;
    } catch (error) {
      if (isNodeError(error) && error.code === 'EEXIST') return false;
      throw error;
    }
  }

  #link(path: string): void {
    if (this.#linkFile === undefined) throw new Error('Without a link function no file is opened without a name');
    this.#linkFile(this.fd, path);
  }

  #close(): void {
    if (this.#open) closeSync(this.fd);
    this.#open = false;
  }
}

function openNameless(directory: string): number | undefined {
  try {
    return openSync(directory, O_TMPFILE | constants.O_WRONLY, MODE);
  } catch (error) {
    if (isNodeError(error) && NO_TMPFILE.has(error.code)) return undefined;
    throw error;
  }
}

/** File systems without it, and a directory that may be written but not read. */
const NO_DIRECTORY_SYNC: ReadonlySet<string> = new Set(['EINVAL', 'EROFS', 'EACCES']);

/** The new name is on the disk only after that (man 2 fsync). */
function syncDirectory(directory: string): void {
  let fd: number | undefined;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
    fsyncSync(fd);
  } catch (error) {
    if (!isNodeError(error) || !NO_DIRECTORY_SYNC.has(error.code)) throw error;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}
