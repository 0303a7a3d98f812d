/** The caller's side: engines are started on first use, kept for the next call, and never keep the caller alive. */
import { fork, type ChildProcess } from 'node:child_process';
import { errorFromJSON, StasisError } from '../errors.ts';
import type { Progress } from '../checkpoint.ts';
import { engineCommand } from '../engine-command.ts';
import type { Answers, FromEngine, Work } from './protocol.ts';

interface Pending {
  readonly resolve: (result: Answers[keyof Answers]) => void;
  readonly reject: (error: unknown) => void;
  readonly onProgress: ((progress: Progress) => void) | undefined;
}

class Engine {
  readonly #child: ChildProcess;
  #pending: Pending | undefined;
  #id = 0;
  ended = false;

  constructor() {
    const [, ...words] = engineCommand('serve', []);
    const options = words.slice(0, process.execArgv.length);
    const [main = '', ...rest] = words.slice(process.execArgv.length);
    // A session of its own: ^C at the terminal is for the caller, whose end it hears of by the channel.
    this.#child = fork(main, rest, { execArgv: options, detached: true, stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message: FromEngine) => this.#hear(message));
    this.#child.on('exit', () => this.#end('its engine process ended'));
    this.#child.on('error', (error) => this.#end(error.message));
    this.#release();
  }

  /** One piece of work at a time. */
  async do<W extends Work>(work: W, signal: AbortSignal | undefined, onProgress: ((progress: Progress) => void) | undefined): Promise<Answers[W['kind']]> {
    const id = ++this.#id;
    const abort = (): void => void (this.#child.connected && this.#child.send({ id, abort: true }));
    this.#child.ref();
    this.#child.channel?.ref();
    signal?.addEventListener('abort', abort, { once: true });
    try {
      return (await new Promise<Answers[keyof Answers]>((resolve, reject) => {
        this.#pending = { resolve, reject, onProgress };
        this.#child.send({ id, work });
      })) as Answers[W['kind']];
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#pending = undefined;
      this.#release();
    }
  }

  close(): void {
    this.ended = true;
    if (this.#child.connected) this.#child.disconnect();
  }

  #release(): void {
    this.#child.unref();
    this.#child.channel?.unref();
  }

  #hear(message: FromEngine): void {
    if ('ready' in message) return;
    if ('progress' in message) this.#pending?.onProgress?.(message.progress);
    else if ('error' in message) this.#pending?.reject(errorFromJSON(message.error));
    else this.#pending?.resolve(message.result);
  }

  #end(reason: string): void {
    this.ended = true;
    this.#pending?.reject(new StasisError('FAILED', `Cannot do the work: ${reason}`, { hint: 'The target runs on. Try again.' }));
  }
}

const idle: Engine[] = [];

/** Lets an engine do the work; several at once each have their own, and one is kept for later. */
export async function perform<W extends Work>(
  work: W,
  { signal, onProgress }: { readonly signal?: AbortSignal | undefined; readonly onProgress?: ((progress: Progress) => void) | undefined } = {},
): Promise<Answers[W['kind']]> {
  if (signal?.aborted === true) throw aborted(signal);
  let engine = idle.pop();
  while (engine?.ended === true) engine = idle.pop();
  engine ??= new Engine();
  try {
    return await engine.do(work, signal, onProgress);
  } catch (error) {
    throw error instanceof StasisError && error.code === 'ABORTED' ? aborted(signal) : error;
  } finally {
    if (idle.length === 0 && !engine.ended) idle.push(engine);
    else engine.close();
  }
}

function aborted(signal: AbortSignal | undefined): StasisError {
  return new StasisError('ABORTED', 'The operation was aborted', { cause: signal?.reason });
}
