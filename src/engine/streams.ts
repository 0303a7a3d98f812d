/**
 * Streams of the caller as places that the engine can write to and read from: it connects to a socket of ours with a
 * random abstract name and shows that it was told the token. Both ends of the pipe hold back when the other is slow.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StasisError } from '../errors.ts';
import type { Place } from './protocol.ts';

export type SinkLike = string | URL | { readonly path: string } | Writable | WritableStream<Uint8Array>;
export type SourceLike = string | URL | { readonly path: string } | Readable | ReadableStream<Uint8Array>;

/** Where the engine finds it. */
export interface Opened {
  readonly place: Place;
  /** Waits until the stream has been written or read; throws the stream's own failure, if it had one. */
  finish(): Promise<void>;
  /** The engine will not come (any more). */
  cancel(): void;
}

export async function openForWriting(sink: SinkLike): Promise<Opened> {
  const path = pathOf(sink);
  if (path !== undefined) return fileAt(path);
  const writable = sink instanceof Writable ? sink : Writable.fromWeb(sink as never);
  return await connected((socket) => pipeline(socket, writable), 'write the image to the stream');
}

export async function openForReading(source: SourceLike): Promise<Opened> {
  const path = pathOf(source);
  if (path !== undefined) return fileAt(path);
  const readable = source instanceof Readable ? source : Readable.fromWeb(source as never);
  return await connected((socket) => pipeline(readable, socket), 'read the image from the stream');
}

function pathOf(like: SinkLike | SourceLike): string | undefined {
  if (typeof like === 'string') return like;
  if (like instanceof URL) return decodeURIComponent(like.pathname);
  return 'path' in like && typeof like.path === 'string' && !(like instanceof Readable) && !(like instanceof Writable) ? like.path : undefined;
}

function fileAt(path: string): Opened {
  return { place: { path }, finish: async () => {}, cancel: () => {} };
}

const tokenLength = 64;

async function connected(transfer: (socket: Socket) => Promise<void>, action: string): Promise<Opened> {
  const token = randomBytes(tokenLength / 2).toString('hex');
  const name = `stasis-${randomBytes(16).toString('hex')}`;
  let failure: unknown;
  let connectedYet = false;
  let settle: () => void = () => {};
  const done = new Promise<void>((resolve) => (settle = resolve));
  const server = createServer({ pauseOnConnect: false }, (socket) => {
    void admit(socket, token).then((admitted) => {
      if (!admitted) return socket.destroy();
      server.close();
      connectedYet = true;
      const failed = (error: unknown): void => {
        failure = error;
      };
      void transfer(socket).catch(failed).finally(settle);
      return undefined;
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(`\0${name}`, resolve));
  return {
    place: { socket: name, token },
    async finish() {
      await done;
      if (failure !== undefined) throw new StasisError('FAILED', `Cannot ${action}: ${messageOf(failure)}`, { cause: failure });
    },
    cancel() {
      server.close();
      if (!connectedYet) settle();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The first bytes of a connection must be the token; what follows stays in the socket. */
async function admit(socket: Socket, token: string): Promise<boolean> {
  socket.on('error', () => {});
  for (;;) {
    const head = socket.read(tokenLength) as Buffer | null;
    if (head !== null) return head.length === tokenLength && timingSafeEqual(head, Buffer.from(token));
    if (socket.readableEnded || socket.destroyed) return false;
    await new Promise<void>((resolve) => {
      socket.once('readable', resolve);
      socket.once('close', resolve);
    });
  }
}
