/**
 * Streams of the caller as places that the engine can write to and read from: it connects to a socket of ours with a
 * random abstract name and shows that it was told the token. Both ends of the pipe hold back when the other is slow.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { finished, Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream, WritableStream as NodeWritableStream } from 'node:stream/web';
import { StasisError } from '../errors.ts';
import type { Place } from './protocol.ts';

/** A stream of the caller, while an engine works with it. */
abstract class Connection {
  readonly place: Place;
  readonly #server: Server;
  readonly #token: string;
  #socket: Socket | undefined;
  /** Resolves when everything has been moved that will be, and never rejects. */
  protected readonly moved: Promise<void>;
  /** Resolves when nobody shall wait any more. */
  protected readonly interrupted: Promise<void>;
  #settle: () => void = () => {};
  #tellInterrupted: () => void = () => {};
  #failure: unknown;
  #over = false;

  protected constructor() {
    this.#token = randomBytes(tokenLength / 2).toString('hex');
    const name = `stasis-${randomBytes(16).toString('hex')}`;
    this.place = { socket: name, token: this.#token };
    this.moved = new Promise((resolve) => (this.#settle = resolve));
    this.interrupted = new Promise((resolve) => (this.#tellInterrupted = resolve));
    this.#server = createServer((socket) => void this.#admit(socket));
    this.#server.listen(`\0${name}`);
  }

  async listening(): Promise<this> {
    if (!this.#server.listening) await once(this.#server, 'listening');
    return this;
  }

  /** Moves the bytes, as long as both ends want it. */
  protected abstract move(socket: Socket): Promise<void>;

  async #admit(socket: Socket): Promise<void> {
    socket.on('error', () => this.#end()); // what happened at the other end, the engine says
    if (!(await shows(socket, this.#token))) {
      socket.destroy();
      return;
    }
    this.#server.close();
    this.#socket = socket;
    await this.move(socket).catch(() => {});
    this.#settle();
  }

  #end(): void {
    this.#over = true;
  }

  /** Takes the stream away from the engine, which may be waiting for it. The stream itself may stand still for ever. */
  interrupt(): void {
    this.#end();
    this.#server.close();
    this.#socket?.destroy();
    this.#tellInterrupted();
  }

  /** The stream ended before its time; what follows from what we did ourselves does not count. */
  protected fails(error: unknown): void {
    if (!this.#over) this.#failure ??= error;
  }

  protected streamError(action: string): StasisError | undefined {
    const failure = this.#failure;
    if (failure === undefined) return undefined;
    return new StasisError('FAILED', `Cannot ${action}: ${failure instanceof Error ? failure.message : String(failure)}`, {
      cause: failure,
    });
  }
}

/** An image on its way into a stream, which is ended when the image is whole, and destroyed when it never will be. */
export class OutgoingImage extends Connection {
  readonly #writable: Writable;

  constructor(sink: Writable | WritableStream<Uint8Array>) {
    super();
    this.#writable = sink instanceof Writable ? sink : Writable.fromWeb(sink as NodeWritableStream);
    finished(this.#writable, { readable: false }, (error) => {
      if (error) this.fails(error);
    });
    this.#writable.on('error', () => {}); // we say it ourselves
  }

  protected override async move(socket: Socket): Promise<void> {
    // Not ended here: to the socket, an image that breaks off looks like any other.
    await pipeline(arriving(socket), this.#writable, { end: false });
  }

  /** All that the engine has written has gone into the stream, and the stream has ended. */
  async complete(): Promise<void> {
    const flushed = this.moved.then(() => (this.#error === undefined ? flush(this.#writable) : undefined));
    const interrupted = this.interrupted.then(() => true);
    if ((await Promise.race([flushed, interrupted])) === true) throw new StasisError('ABORTED', 'The operation was aborted');
    if (this.#error !== undefined) throw this.#error;
  }

  /** The work failed with `error`. Answers what is to be thrown: the stream's own failure if that was the reason. */
  fail(error: unknown): unknown {
    const reason = this.#error ?? error;
    this.interrupt();
    if (!isStandardStream(this.#writable)) this.#writable.destroy(error instanceof Error ? error : undefined);
    return reason;
  }

  get #error(): StasisError | undefined {
    return this.streamError('write the image to the stream');
  }
}

/** What arrives until the other end closes; a connection that breaks just ends. */
async function* arriving(socket: Socket): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* socket as AsyncIterable<Buffer>;
  } catch {
    // the engine has ended: whoever waits for it hears of it
  }
}

/** Resolves when the stream has taken everything, or failed. */
async function flush(writable: Writable): Promise<void> {
  await new Promise<void>((resolve) => {
    if (isStandardStream(writable)) {
      writable.write('', () => resolve());
      return;
    }
    finished(writable, { readable: false }, () => resolve());
    writable.end();
  });
}

/** An image on its way out of a stream, which is destroyed when the engine has what it needs. */
export class IncomingImage extends Connection {
  readonly #readable: Readable;

  constructor(source: Readable | ReadableStream<Uint8Array>) {
    super();
    this.#readable = source instanceof Readable ? source : Readable.fromWeb(source as NodeReadableStream);
    finished(this.#readable, { writable: false }, (error) => {
      if (error) this.fails(error);
    });
    this.#readable.on('error', () => {}); // we say it ourselves
  }

  protected override async move(socket: Socket): Promise<void> {
    await pipeline(this.#bytes(), socket);
  }

  async *#bytes(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of this.#readable as AsyncIterable<unknown>) {
        if (!(chunk instanceof Uint8Array)) throw new TypeError(`a chunk is ${typeof chunk}, not bytes`);
        yield chunk;
      }
    } catch (error) {
      this.fails(error);
      throw error;
    }
  }

  async complete(): Promise<void> {
    this.interrupt();
    this.#readable.destroy();
  }

  fail(error: unknown): unknown {
    const reason = this.streamError('read the image from the stream') ?? error;
    void this.complete();
    return reason;
  }
}

function isStandardStream(stream: Writable): boolean {
  return stream === process.stdout || stream === process.stderr;
}

const tokenLength = 64;

/** The first bytes of a connection must be the token; what follows stays in the socket. */
async function shows(socket: Socket, token: string): Promise<boolean> {
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
