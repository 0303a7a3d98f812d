/**
 * Stasis: checkpoints running Linux processes and restarts them. All work on processes is done by an engine process
 * beside the caller, which is started on first use: the event loop goes on, and whatever happens to the caller, the
 * targets run on. docs/api.md shows it at work.
 */
import { resolve } from 'node:path';
import { Readable } from 'node:stream';
import { chunksOf } from './chunks.ts';
import type { CheckpointOptions, CheckpointResult } from './checkpoint.ts';
import type { Diagnosis } from './doctor.ts';
import { aborted, perform, type Performed } from './engine/client.ts';
import type { PerformOptions } from './engine/perform-options.ts';
import { Given, plainPlace, type SinkLike, type SourceLike } from './engine/places.ts';
import type { Work } from './engine/protocol.ts';
import { StasisError } from './errors.ts';
import type { ImageSummary, ImageTree, InspectOptions } from './inspect.ts';
import { pidChoices } from './pid-choice.ts';
import { ProcessHandle, type Waiter } from './process-handle.ts';
import type { RestartOptions as StoryRestartOptions, RestartResult, RestartStats } from './restart.ts';
import type { StandardStreams } from './standard-streams.ts';

export type { Compression } from './compression.ts';
export type { CheckpointOptions, CheckpointResult, Progress, Stats } from './checkpoint.ts';
export type { Check, Diagnosis } from './doctor.ts';
export type { FreezeMode } from './freeze-plan.ts';
export type { SinkLike, SourceLike } from './engine/places.ts';
export { CannotCarryError, ImageError, StasisError, SyscallError } from './errors.ts';
export type { Blocker, ErrorCode, ErrorJSON, Phase } from './errors.ts';
export { render } from './image/render.ts';
export type { ImageNode, ImageSummary, ImageTree, InspectOptions } from './inspect.ts';
export type { PidChoice } from './pid-choice.ts';
export { ProcessHandle, type Ended } from './process-handle.ts';
export type { RestartStats } from './restart.ts';
export type { StandardStreams, StreamChoice } from './standard-streams.ts';

/**
 * Writes the state of process `pid` into an image. A path or URL names a file, which appears only when it is whole (mode
 * 0600); a descriptor is written from where it stands; a stream is ended when the image is whole and destroyed when it
 * never will be. Without `sink` only with `dryRun`. The process goes on unless `after` says otherwise, and is ended or
 * stopped only when the image has arrived. Times in the result are milliseconds, sizes bytes.
 * @throws CannotCarryError with everything that stands in the way; StasisError with code VANISHED, PRIVILEGE, FAILED,
 * SYSCALL, USAGE or ABORTED. After any of them the process runs on as before.
 * @example
 * const { bytes, stats } = await checkpoint(pid, 'counter.image', { after: 'kill' });
 */
export async function checkpoint(pid: number, sink?: SinkLike, options: CheckpointOptions = {}): Promise<CheckpointResult> {
  const {
    after = 'continue',
    freeze = 'auto',
    compress = 'none',
    carry = [],
    skipFds = [],
    base,
    connections = 'refuse',
    dryRun = false,
    signal,
    onProgress,
  } = options;
  if (!Number.isInteger(pid) || pid <= 0)
    throw new StasisError('USAGE', `Cannot checkpoint ${pid}: a process id is a positive integer`);
  if (sink === undefined && !dryRun) throw new StasisError('USAGE', 'Cannot checkpoint: no place for the image was given');
  const given = new Given();
  const place = sink === undefined || dryRun ? undefined : await given.sink(sink);
  const carried = carry.map((pattern) => resolve(pattern));
  const work = {
    kind: 'checkpoint',
    pid,
    sink: place,
    after,
    freeze,
    compress,
    carry: carried,
    skipFds,
    base: base === undefined ? undefined : resolve(base),
    connections,
    dryRun,
    given: given.fds.length,
  } as const;
  const { result } = await performWith(given, work, { signal, onProgress });
  return result;
}

export interface RestartOptions extends StoryRestartOptions {
  /**
   * What the program finds where it had a terminal, a pipe or a socket as standard stream, which nobody can give back;
   * default: all 'inherit', the caller's own. A file it finds again by itself.
   */
  readonly streams?: Partial<StandardStreams>;
}

/** A process that a restart brought back. */
export class RestartedProcess extends ProcessHandle {
  /** What it could not be given back, as sentences. */
  readonly notes: readonly string[];
  /** Milliseconds, bytes of memory, pages. */
  readonly stats: RestartStats;

  constructor({ pid, startTime, notes, stats }: RestartResult & { readonly startTime: number }, waiter: Waiter) {
    super(pid, startTime, waiter);
    this.notes = notes;
    this.stats = stats;
  }
}

/**
 * Restarts the program of an image as a new process in the background, in a session of its own. Nobody's child: it
 * outlives us. A stream is read as far as needed and then destroyed. With `dryRun` everything is read and checked, and
 * the pid of the answer is 0.
 * @throws ImageError for a damaged image; StasisError with code RESTART_FAILED, PRIVILEGE, FAILED, SYSCALL, USAGE or
 * ABORTED. Nothing of the program is left then.
 * @example
 * const program = await restart('counter.image');
 * program.kill('SIGTERM');
 * const { code, signal } = await program.wait();
 */
export async function restart(source: SourceLike, options: RestartOptions = {}): Promise<RestartedProcess> {
  const {
    acceptChangedFiles = false,
    lazy = false,
    baseDirectories = [],
    pids = 'keep',
    dryRun = false,
    signal,
    onProgress,
  } = options;
  if (!pidChoices.includes(pids))
    throw new StasisError('USAGE', `Cannot restart: pids is ${pidChoices.join(' or ')}, not ${pids as string}`);
  const given = new Given();
  const streams = given.streams({ input: 'inherit', output: 'inherit', error: 'inherit', ...options.streams });
  const place = await given.source(source);
  const work = {
    kind: 'restart',
    source: place,
    acceptChangedFiles,
    lazy,
    baseDirectories: baseDirectories.map((directory) => resolve(directory)),
    pids,
    dryRun,
    streams,
    given: given.fds.length,
  } as const;
  const { result, waiters } = await performWith(given, work, { signal, onProgress });
  return new RestartedProcess(result, firstOf(waiters));
}

export interface BranchOptions {
  /** How many; default 1. */
  readonly copies?: number;
  readonly signal?: AbortSignal;
}

/** The copies that a branch made. */
export interface Branches {
  readonly branches: readonly RestartedProcess[];
  /** Milliseconds for which the original was stopped. */
  readonly freezeMs: number;
  readonly totalMs: number;
}

/**
 * Makes copies of a running process, and of all below it, in place: they run beside the original from the very same moment,
 * with new process ids, and share its memory until somebody writes. Nothing is written anywhere. They are nobody's children.
 * @throws StasisError like checkpoint and restart. The original runs on as before then, and no copy is left.
 * @example
 * const { branches } = await branch(4242, { copies: 5 });
 * await checkpoint(branches[3].pid, 'best.image', { after: 'kill' });
 * for (const process of branches) process.kill('SIGKILL');
 */
export async function branch(pid: number, options: BranchOptions = {}): Promise<Branches> {
  const { copies = 1, signal } = options;
  if (!Number.isInteger(copies) || copies < 1)
    throw new StasisError('USAGE', `Cannot branch: copies is a number from 1, not ${copies}`);
  const { result, waiters } = await perform({ kind: 'branch', pid, copies, given: 0 }, { signal });
  const { branches, freezeMs, totalMs } = result;
  return { branches: branches.map((each, index) => new RestartedProcess(each, waiters[index] ?? unknownEnd)), freezeMs, totalMs };
}

const unknownEnd: Waiter = async () => undefined;

function firstOf([waiter = unknownEnd]: readonly Waiter[]): Waiter {
  return waiter;
}

export interface RunOptions {
  /** Working directory; default: the caller's. */
  readonly directory?: string;
  /** All of the environment; default: the caller's. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Standard streams; default: all 'ignore'. */
  readonly streams?: Partial<StandardStreams>;
}

/** A command that runs in the background under a supervisor. */
export class RunningProcess extends ProcessHandle {
  /** Pid of the process that serves the two system calls; undefined when one further up does. */
  readonly supervisor: number | undefined;

  constructor({ pid, startTime, supervisor }: { pid: number; startTime: number; supervisor?: number }, waiter: Waiter) {
    super(pid, startTime, waiter);
    this.supervisor = supervisor;
  }
}

/**
 * Starts a command in the background, in a session of its own, with the system calls `checkpoint` and `restart`
 * available to it and its descendants. Nobody's child: it outlives us. Why such a call failed is said on the program's
 * standard error.
 * @throws StasisError (FAILED, SYSCALL, PRIVILEGE, USAGE) when it could not be executed.
 * @example
 * const program = await run(['./simulation', '--seed', '1'], { streams: { output: { path: 'out.log' } } });
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<RunningProcess> {
  const { directory = process.cwd(), environment = process.env, streams = {} } = options;
  const given = new Given();
  const work = {
    kind: 'run',
    command,
    directory,
    environment: Object.fromEntries(
      Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
    ),
    streams: given.streams({ input: 'ignore', output: 'ignore', error: 'ignore', ...streams }),
    given: given.fds.length,
  } as const;
  const { result, waiters } = await performWith(given, work, {});
  return new RunningProcess(result, firstOf(waiters));
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
}

/**
 * The nested content of an image, as plain data. Needs no privilege, no Linux and no engine. A stream is destroyed when
 * the image has been read.
 * @throws ImageError for the first thing that is wrong, unless `partial`; StasisError (FAILED, SYSCALL) when it cannot be read.
 * @example
 * console.log(render(await inspect('counter.image')));
 */
export async function inspect(source: SourceLike, options: InspectOptions & ReadOptions = {}): Promise<ImageTree> {
  const { inspect: inspectImage } = await import('./inspect.ts');
  const place = readingPlace(source);
  // Of a file nothing but the descriptions is read: that is soon done.
  if ('path' in place) return await inspectImage(place, options);
  const chunks = chunksOf(place, options.signal);
  try {
    return await inspectImage(chunks, options);
  } finally {
    await chunks.return();
  }
}

/**
 * Checks every checksum, schema rule and reference of an image. Needs no privilege, no Linux and no engine. A stream is
 * destroyed when the image has been read.
 * @throws ImageError for the first thing that is wrong; StasisError (FAILED, SYSCALL, ABORTED) when it cannot be read.
 * @example
 * const { pages } = await verify('counter.image');
 */
export async function verify(source: SourceLike, options: ReadOptions = {}): Promise<ImageSummary> {
  const chunks = chunksOf(readingPlace(source), options.signal);
  const { verify: verifyImage } = await import('./inspect.ts');
  try {
    return await verifyImage(chunks);
  } finally {
    await chunks.return();
  }
}

/** What this kernel and these privileges allow, each with its remedy. */
export async function doctor(): Promise<Diagnosis> {
  const { result } = await perform({ kind: 'doctor', given: 0 });
  return result;
}

function readingPlace(source: SourceLike): { path: string } | { fd: number } | AsyncIterable<Uint8Array> {
  // It may fail before anybody reads from it; whoever reads then hears of it.
  if (source instanceof Readable) source.on('error', () => {});
  return source instanceof Readable || source instanceof ReadableStream
    ? (source as AsyncIterable<Uint8Array>)
    : plainPlace(source);
}

/** The engine's answer, once its stream has come to its end too; or what went wrong first. */
async function performWith<W extends Work>(given: Given, work: W, options: PerformOptions): Promise<Performed<W>> {
  const { stream, fds } = given;
  const { signal } = options;
  const interrupt = (): void => stream?.interrupt();
  signal?.addEventListener('abort', interrupt, { once: true });
  let complete: Promise<void> | undefined;
  const onWritten = (): Promise<void> => (complete ??= stream?.complete() ?? Promise.resolve());
  try {
    const done = await perform(work, { ...options, fds, onWritten, atOnce: stream !== undefined || fds.length > 0 });
    await onWritten();
    return done;
  } catch (error) {
    const reason = stream === undefined ? error : stream.fail(error);
    // After an abort the engine may have met the end of the stream before it heard of it.
    throw signal?.aborted === true && error instanceof StasisError ? aborted(signal) : reason;
  } finally {
    signal?.removeEventListener('abort', interrupt);
  }
}
