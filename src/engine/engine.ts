/** One engine process, as its caller sees it. */
import { fork, type ChildProcess } from 'node:child_process';
import { errorFromJSON, StasisError } from '../errors.ts';
import { engineCommand } from '../engine-command.ts';
import type { Ended } from '../linux/exit-watch.ts';
import type { Progress } from '../checkpoint.ts';
import type { PerformOptions } from './perform-options.ts';
import type { Answers, FromEngine, ToEngine, Work } from './protocol.ts';

interface Pending {
  readonly id: number;
  readonly resolve: (result: Answers[keyof Answers]) => void;
  readonly reject: (error: unknown) => void;
  readonly options: PerformOptions;
}

interface Done {
  readonly result: Answers[keyof Answers];
  readonly waiters: readonly (() => Promise<Ended | undefined>)[];
}

/** An engine that has been told to stop and sits in a call that does not return is killed after this; the target runs on. */
const graceMilliseconds = 2000;

export class Engine {
  /** Who we were when it was started. */
  readonly owner: string;
  readonly #child: ChildProcess;
  #pending: Pending | undefined;
  /** Whom to tell of the end of what it started, and what has not ended yet. */
  readonly #watched = new Map<string, (ended: Ended | undefined) => void>();
  #id = 0;
  #holds = 0;
  #ended = false;
  #retired = false;
  #idleTimer: NodeJS.Timeout | undefined;

  constructor(owner: string, fds: readonly number[]) {
    this.owner = owner;
    const { main, execArgv, env } = engineModule();
    // A session of its own: ^C at the terminal is for the caller, whose end it hears of by the channel.
    const stdio = ['inherit', 'inherit', 'inherit', 'ipc', ...fds] as ['inherit', 'inherit', 'inherit', 'ipc'];
    this.#child = fork(main, ['serve'], { execArgv, env, detached: true, stdio, cwd: '/' });
    this.#child.on('message', (message: FromEngine) => this.#hear(message));
    // All messages have been heard by then, unlike at 'exit'.
    this.#child.on('disconnect', () => this.#end('its engine process ended'));
    this.#child.on('error', (error) => this.#end(`the engine process did not start: ${error.message}`));
    this.#release();
  }

  get usable(): boolean {
    return !this.#ended && !this.#retired;
  }

  /** One piece of work at a time. */
  async do(work: Work, options: PerformOptions): Promise<Done> {
    const { signal } = options;
    const id = ++this.#id;
    clearTimeout(this.#idleTimer);
    let grace: NodeJS.Timeout | undefined;
    const abort = (): void => {
      this.#send({ id, abort: true });
      grace = setTimeout(() => this.#child.kill('SIGKILL'), graceMilliseconds);
    };
    this.#hold();
    const watched = Array.from({ length: work.kind === 'branch' ? work.copies : 1 }, (_, index) => this.#watch(`${id} ${index}`));
    const forget = (): void => watched.forEach((_, index) => this.#tell(`${id} ${index}`, undefined));
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const result = await new Promise<Answers[keyof Answers]>((resolve, reject) => {
        this.#pending = { id, resolve, reject, options };
        if (this.#ended) this.#end('its engine process ended');
        else this.#send({ id, work });
      });
      if (!('branches' in result) && (!('startTime' in result) || result.pid === 0)) forget();
      return { result, waiters: watched.map((ended) => () => this.#wait(ended)) };
    } catch (error) {
      forget();
      throw error;
    } finally {
      clearTimeout(grace);
      signal?.removeEventListener('abort', abort);
      this.#pending = undefined;
      this.#release();
    }
  }

  /** It ends when nothing that it started is left to be watched. */
  retire(): void {
    this.#retired = true;
    clearTimeout(this.#idleTimer);
    if (this.#watched.size === 0 && this.#child.connected) this.#child.disconnect();
  }

  retireAfter(milliseconds: number, before: () => void): void {
    this.#idleTimer = setTimeout(() => {
      before();
      this.retire();
    }, milliseconds).unref();
  }

  /** Resolves with undefined when nothing was started, or when nobody can tell any more. */
  #watch(key: string): Promise<Ended | undefined> {
    return new Promise((tell) => this.#watched.set(key, tell));
  }

  #tell(key: string, ended: Ended | undefined): void {
    this.#watched.get(key)?.(ended);
    this.#watched.delete(key);
    if (this.#retired) this.retire();
  }

  /** Who waits shall not end before. */
  async #wait(ended: Promise<Ended | undefined>): Promise<Ended | undefined> {
    this.#hold();
    try {
      return await ended;
    } finally {
      this.#release();
    }
  }

  #hold(): void {
    if (this.#holds++ > 0) return;
    this.#child.ref();
    this.#child.channel?.ref();
  }

  #release(): void {
    this.#holds = Math.max(0, this.#holds - 1);
    if (this.#holds > 0) return;
    this.#child.unref();
    this.#child.channel?.unref();
  }

  #send(message: ToEngine): void {
    if (this.#child.connected) this.#child.send(message, () => {}); // of its end we hear by 'disconnect'
  }

  #hear(message: FromEngine): void {
    if ('ended' in message) {
      this.#tell(`${message.id} ${message.index}`, message.ended);
      return;
    }
    const pending = this.#pending;
    if (pending?.id !== message.id) return;
    if ('error' in message) pending.reject(errorFromJSON(message.error));
    else if ('result' in message) pending.resolve(message.result);
    else if ('written' in message) void this.#deliver(pending);
    else this.#progress(pending, message.progress);
  }

  async #deliver({ id, options }: Pending): Promise<void> {
    try {
      await options.onWritten?.();
      this.#send({ id, delivered: true });
    } catch {
      this.#send({ id, abort: true }); // the stream says why
    }
  }

  /** What the callback throws ends the work, and is what the work fails with. */
  #progress({ id, reject, options }: Pending, progress: Progress): void {
    try {
      options.onProgress?.(progress);
    } catch (error) {
      this.#send({ id, abort: true });
      this.#retired = true;
      reject(error);
    }
  }

  #end(reason: string): void {
    this.#ended = true;
    for (const id of this.#watched.keys()) this.#tell(id, undefined);
    this.#pending?.reject(new StasisError('FAILED', `Cannot do the work: ${reason}`, { hint: 'The target runs on. Try again.' }));
  }
}

/** Options for the caller's Node (a debugger's port, modules to load first) are not for the engine, but sources need tsx. */
function engineModule(): { main: string; execArgv: string[]; env: NodeJS.ProcessEnv } {
  const main = engineCommand('serve', []).at(-2) ?? '';
  if (main.endsWith('.ts')) return { main, execArgv: process.execArgv, env: process.env };
  const { NODE_OPTIONS: _, ...env } = process.env;
  // As a module of the library we are .js; the bundle beside it starts faster.
  return { main: main.replace(/\.js$/, '.cjs'), execArgv: [], env };
}
