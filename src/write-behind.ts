/**
 * Writing to a regular file while the next pages are read and summed: the write runs on a thread of Node's pool, one at a
 * time, in order. Pipes and sockets keep the direct way: there the reader sets the pace.
 */
import { fstatSync, writev } from 'node:fs';
import { maximumParts, withoutBytes, writeError } from './descriptor.ts';
import type { ByteSink } from './image/writer.ts';

export interface PacedSink extends ByteSink {
  /** Resolves when all that was written has arrived; rejects with the first failure. */
  settled(): Promise<void>;
}

/** Longer parts are not copied: they must stay as they are until the sink has settled. */
const copied = 64 << 10;

/** What goes to `fd`, behind our back where that is a regular file, else by `sink` itself. */
export function paced(sink: ByteSink & { readonly fd: number; readonly path?: string }): PacedSink {
  return fstatSync(sink.fd).isFile() ? new WriteBehind(sink.fd, sink.path ?? `descriptor ${sink.fd}`) : direct(sink);
}

function direct(sink: ByteSink): PacedSink {
  return { write: (parts) => sink.write(parts), settled: async () => {} };
}

class WriteBehind implements PacedSink {
  readonly #fd: number;
  readonly #name: string;
  #pending: Uint8Array[] = [];
  #writing = false;
  #failure: unknown;
  #waiting: (() => void)[] = [];

  constructor(fd: number, name: string) {
    this.#fd = fd;
    this.#name = name;
  }

  write(parts: readonly Uint8Array[]): void {
    for (const part of parts) this.#pending.push(part.length <= copied ? part.slice() : part);
    // Begins at once: the caller may not look at the event loop for a while.
    if (!this.#writing) this.#next();
  }

  async settled(): Promise<void> {
    if (this.#writing) await new Promise<void>((done) => this.#waiting.push(done));
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Never two at once: without a position each goes on where the one before ended. */
  #next(): void {
    this.#writing = this.#pending.length > 0 && this.#failure === undefined;
    if (!this.#writing) {
      for (const done of this.#waiting.splice(0)) done();
      return;
    }
    writev(this.#fd, this.#pending.slice(0, maximumParts), (error, count) => {
      if (error === null) this.#pending = withoutBytes(this.#pending, count);
      else if (error.code !== 'EINTR') this.#failure = writeError(error, this.#name);
      this.#next();
    });
  }
}
