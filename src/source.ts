/** Where an image comes from: a path or an open descriptor; read forwards only, exactly as far as is asked. */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { readError, readFully } from './descriptor.ts';

export type Source = { readonly path: string } | { readonly fd: number };

export interface OpenSource extends Disposable {
  readonly fd: number;
  /** Bytes read or skipped so far. */
  readonly position: number;
  /**
   * Whether the bytes lie in a regular file that we opened: then they can also be read at their place from `fd`
   * (pread, mmap). A descriptor that was given may have been anywhere in its file.
   */
  readonly isFile: boolean;
  /** Fills `into` unless the end comes first; the number of bytes read, so 0 at the end. */
  read(into: Uint8Array): number;
  /** Goes forward. To skip beyond the end is no error; the next read gives 0. */
  skip(bytes: number): void;
  /** A descriptor that was given stays open. */
  close(): void;
}

/** Opens the source, or throws a StasisError. */
export function openSource(source: Source): OpenSource {
  if ('fd' in source) return new StreamSource(source.fd, `descriptor ${source.fd}`, false);
  try {
    const fd = openSync(source.path, constants.O_RDONLY | constants.O_NOCTTY);
    return fstatSync(fd).isFile() ? new FileSource(fd, source.path) : new StreamSource(fd, source.path, true);
  } catch (error) {
    throw readError(error, source.path);
  }
}

/** A stream: what is skipped must be read, since bytes after the image belong to whoever reads next. */
class StreamSource implements OpenSource {
  readonly fd: number;
  readonly isFile: boolean = false;
  readonly #name: string;
  #owned: boolean;
  #position = 0;
  #scratch: Uint8Array | undefined;

  constructor(fd: number, name: string, owned: boolean) {
    this.fd = fd;
    this.#name = name;
    this.#owned = owned;
  }

  get position(): number {
    return this.#position;
  }

  read(into: Uint8Array): number {
    try {
      const count = readFully(this.fd, into);
      this.#position += count;
      return count;
    } catch (error) {
      throw readError(error, this.#name);
    }
  }

  skip(bytes: number): void {
    this.#scratch ??= new Uint8Array(Math.min(bytes, 1 << 20));
    if (this.#scratch.byteLength < Math.min(bytes, 1 << 20)) this.#scratch = new Uint8Array(1 << 20);
    for (let left = bytes; left > 0;) {
      const count = this.read(this.#scratch.subarray(0, Math.min(left, this.#scratch.byteLength)));
      if (count === 0) return;
      left -= count;
    }
  }

  close(): void {
    if (this.#owned) closeSync(this.fd);
    this.#owned = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A file of our own: what is skipped costs nothing. */
class FileSource implements OpenSource {
  readonly fd: number;
  readonly isFile: boolean = true;
  readonly #name: string;
  #position = 0;
  #open = true;

  constructor(fd: number, name: string) {
    this.fd = fd;
    this.#name = name;
  }

  get position(): number {
    return this.#position;
  }

  read(into: Uint8Array): number {
    try {
      const count = readFully(this.fd, into, this.#position);
      this.#position += count;
      return count;
    } catch (error) {
      throw readError(error, this.#name);
    }
  }

  skip(bytes: number): void {
    this.#position += bytes;
  }

  close(): void {
    if (this.#open) closeSync(this.fd);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
