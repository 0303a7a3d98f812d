/**
 * Stasis: checkpoints running Linux processes and restarts them. All work on processes is done by an engine process
 * beside the caller, which is started on first use: the event loop goes on, and whatever happens to the caller, the
 * targets run on.
 */
import { perform } from './engine/client.ts';
import { openForReading, openForWriting, type Opened, type SinkLike, type SourceLike } from './engine/streams.ts';
import type { CheckpointOptions, CheckpointResult } from './checkpoint.ts';
import type { Diagnosis } from './doctor.ts';
import { StasisError } from './errors.ts';
import { inspect as inspectImage, verify as verifyImage, type ImageSummary, type ImageTree, type InspectOptions } from './inspect.ts';
import { ProcessHandle } from './process-handle.ts';
import type { RestartOptions, RestartStats } from './restart.ts';
import type { BackgroundStreams } from './run.ts';

export type { CheckpointOptions, CheckpointResult, Progress, Stats } from './checkpoint.ts';
export type { Check, Diagnosis } from './doctor.ts';
export type { SinkLike, SourceLike } from './engine/streams.ts';
export { CannotCarryError, ImageError, StasisError, SyscallError } from './errors.ts';
export type { Blocker, ErrorCode, ErrorJSON, Phase } from './errors.ts';
export { render } from './inspect.ts';
export type { ImageNode, ImageSummary, ImageTree, InspectOptions } from './inspect.ts';
export { ProcessHandle } from './process-handle.ts';
export type { RestartOptions, RestartStats } from './restart.ts';
export type { BackgroundStreams, StreamChoice } from './run.ts';

/**
 * Writes the state of process `pid` into an image: a path (the file appears only when it is whole), or a Node or web
 * stream. Without `sink` only with `dryRun`. The process goes on unless `after` says otherwise.
 * @throws CannotCarryError with everything that stands in the way; StasisError with code VANISHED, PRIVILEGE, FAILED,
 * ABORTED. After any of them the process runs on as before.
 * @example
 * const { bytes, stats } = await checkpoint(pid, 'counter.image', { after: 'kill' });
 */
export async function checkpoint(pid: number, sink?: SinkLike, options: CheckpointOptions = {}): Promise<CheckpointResult> {
  const { after = 'continue', dryRun = false, signal, onProgress } = options;
  if (!Number.isInteger(pid) || pid <= 0) throw new StasisError('USAGE', `Cannot checkpoint ${pid}: a process id is a positive integer`);
  if (sink === undefined && !dryRun) throw new StasisError('USAGE', 'Cannot checkpoint: no place for the image was given');
  if (pid === process.pid) {
    throw new StasisError('USAGE', 'Cannot checkpoint the calling process: Node has many threads, which are not supported yet', { pid });
  }
  const opened = sink === undefined ? undefined : await openForWriting(sink);
  const work = { kind: 'checkpoint', pid, sink: opened?.place, after, dryRun } as const;
  return await finishing(opened, perform(work, { signal, onProgress }));
}

/** A process that a restart brought back. */
export class RestartedProcess extends ProcessHandle {
  /** What it could not be given back, as sentences. */
  readonly notes: readonly string[];
  readonly stats: RestartStats;

  constructor(pid: number, startTime: number, notes: readonly string[], stats: RestartStats) {
    super(pid, startTime);
    this.notes = notes;
    this.stats = stats;
  }
}

/**
 * Restarts the program of an image (a path, or a Node or web stream) as a new process in the background, in a session
 * of its own; terminals and pipes on its standard streams are replaced by the caller's. Nobody's child: it outlives us.
 * With `dryRun` everything is read and checked, and the pid of the answer is 0.
 * @throws ImageError for a damaged image; StasisError with code RESTART_FAILED, PRIVILEGE, ABORTED. Nothing is left then.
 * @example
 * const program = await restart('counter.image');
 * program.kill('SIGTERM');
 * await program.wait();
 */
export async function restart(source: SourceLike, options: RestartOptions = {}): Promise<RestartedProcess> {
  const { acceptChangedFiles = false, dryRun = false, signal, onProgress } = options;
  const opened = await openForReading(source);
  const work = { kind: 'restart', source: opened.place, acceptChangedFiles, dryRun } as const;
  const { pid, startTime, notes, stats } = await finishing(opened, perform(work, { signal, onProgress }), 'restart');
  return new RestartedProcess(pid, startTime, notes, stats);
}

export interface RunOptions {
  /** Working directory; default: the caller's. */
  readonly directory?: string;
  /** Environment; default: the caller's. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Standard streams; default: all 'ignore'. */
  readonly streams?: Partial<BackgroundStreams>;
}

/**
 * Starts a command in the background, in a session of its own, with the system calls `checkpoint` and `restart`
 * available to it and its descendants. Nobody's child: it outlives us.
 * @throws StasisError when there is no such program.
 * @example
 * const program = await run(['./simulation', '--seed', '1'], { streams: { output: { path: 'out.log' } } });
 */
export async function run(command: readonly string[], options: RunOptions = {}): Promise<ProcessHandle> {
  const { directory = process.cwd(), environment = ownEnvironment(), streams = {} } = options;
  const all: BackgroundStreams = { input: 'ignore', output: 'ignore', error: 'ignore', ...streams };
  const { pid, startTime } = await perform({ kind: 'run', command, directory, environment, streams: all });
  return new ProcessHandle(pid, startTime);
}

function ownEnvironment(): Record<string, string> {
  return Object.fromEntries(Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** The nested content of an image, as plain data. Needs no privilege and no Linux. @throws ImageError */
export async function inspect(source: SourceLike, options: InspectOptions = {}): Promise<ImageTree> {
  return await inspectImage(asInput(source), options);
}

/** Checks every checksum, schema rule and reference of an image. @throws ImageError for the first thing that is wrong. */
export async function verify(source: SourceLike): Promise<ImageSummary> {
  return await verifyImage(asInput(source));
}

/** What this kernel and these privileges allow, each with its remedy. */
export async function doctor(): Promise<Diagnosis> {
  return await perform({ kind: 'doctor' });
}

function asInput(source: SourceLike): { path: string } | AsyncIterable<Uint8Array> {
  if (typeof source === 'string') return { path: source };
  if (source instanceof URL) return { path: decodeURIComponent(source.pathname) };
  if (Symbol.asyncIterator in source) return source as AsyncIterable<Uint8Array>;
  return source as { path: string };
}

/** The engine's answer, or the stream's own failure, which is what the engine's error follows from. */
async function finishing<T>(opened: Opened | undefined, work: Promise<T>, direction?: 'restart'): Promise<T> {
  try {
    const result = await work;
    // A source may go on behind the image: it is not waited for.
    if (direction === undefined) await opened?.finish();
    return result;
  } catch (error) {
    opened?.cancel();
    if (error instanceof StasisError && error.code === 'ABORTED') throw error;
    await opened?.finish();
    throw error;
  } finally {
    opened?.cancel();
  }
}
