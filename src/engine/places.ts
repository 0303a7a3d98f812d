/** What the API takes as the place of an image, and what the engine makes of it. */
import { resolve } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { StasisError } from '../errors.ts';
import type { StandardStreams, StreamChoice } from '../standard-streams.ts';
import { firstGivenFd, type Place } from './protocol.ts';
import { IncomingImage, OutgoingImage } from './streams.ts';

type FileLike = string | URL | { readonly path: string } | { readonly fd: number };

/** A path, a file: URL, an open descriptor (also a FileHandle), or a stream of Node or the web. */
export type SinkLike = FileLike | Writable | WritableStream<Uint8Array>;
/** A path, a file: URL, an open descriptor (also a FileHandle), or a stream of Node or the web. */
export type SourceLike = FileLike | Readable | ReadableStream<Uint8Array>;

/** What an engine needs for its work besides words. */
export class Given {
  /** Our descriptors that it is born with. */
  readonly fds: number[] = [];
  stream: OutgoingImage | IncomingImage | undefined;

  /** Its number in the engine. */
  fd(fd: number): { fd: number } {
    if (!Number.isInteger(fd) || fd < 0)
      throw new StasisError('USAGE', `Cannot use descriptor ${fd}: it must be a number from 0`);
    return { fd: firstGivenFd + this.fds.push(fd) - 1 };
  }

  async sink(sink: SinkLike): Promise<Place> {
    if (sink instanceof Writable || sink instanceof WritableStream) return await this.#connect(new OutgoingImage(sink));
    return this.#file(sink);
  }

  async source(source: SourceLike): Promise<Place> {
    if (source instanceof Readable || source instanceof ReadableStream) return await this.#connect(new IncomingImage(source));
    return this.#file(source);
  }

  async #connect(stream: OutgoingImage | IncomingImage): Promise<Place> {
    this.stream = stream;
    return (await stream.listening()).place;
  }

  #file(file: FileLike): Place {
    const plain = plainPlace(file);
    return 'fd' in plain ? this.fd(plain.fd) : plain;
  }

  streams(streams: StandardStreams): StandardStreams {
    const choice = (each: StreamChoice): StreamChoice => {
      if (typeof each === 'string') return each;
      return 'fd' in each ? this.fd(each.fd) : { path: resolve(each.path) };
    };
    return { input: choice(streams.input), output: choice(streams.output), error: choice(streams.error) };
  }
}

/** An absolute path, since the engine's directory is not ours; or a descriptor of this process. */
export function plainPlace(file: FileLike): { path: string } | { fd: number } {
  if (typeof file === 'string') return { path: resolve(file) };
  if (file instanceof URL) {
    if (file.protocol !== 'file:') throw new StasisError('USAGE', `Cannot use ${file.href} as an image: it is no file: URL`);
    return { path: fileURLToPath(file) };
  }
  if ('fd' in file && typeof file.fd === 'number') return { fd: file.fd };
  if ('path' in file && typeof file.path === 'string') return { path: resolve(file.path) };
  throw new StasisError('USAGE', 'Cannot use this as an image: it is no path, file: URL, descriptor or stream');
}
