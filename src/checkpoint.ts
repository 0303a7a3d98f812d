/** The story of a checkpoint: freeze the task, collect what it is, write it down, let it go on. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { hostname, release, version as kernelVersion } from 'node:os';
import { setImmediate as turn } from 'node:timers/promises';
import { nextCheckpointId } from './checkpoint-id.ts';
import { capture, type Captured } from './capture.ts';
import { collectProcesses, type CollectOptions, type TaskNode } from './collect.ts';
import { CompressedPages } from './compressed-pages.ts';
import { makeCompressor, type Compression } from './compression.ts';
import { cpuFacts } from './cpu-facts.ts';
import { EarlierImage } from './earlier-image.ts';
import { CannotCarryError, isNodeError, StasisError, SyscallError, type Phase } from './errors.ts';
import { planFreeze, type FreezeMode } from './freeze-plan.ts';
import { leaderEnded, type Frozen } from './freeze.ts';
import { HeldImage, holdLimit } from './held-image.ts';
import { mapPages, PutAside } from './late-pages.ts';
import { writeTasks } from './image-output.ts';
import { currentRevision } from './image/framing.ts';
import type { Head } from './image/head.ts';
import { ImageWriter } from './image/writer.ts';
import { Ending } from './objects/ending.ts';
import { linkFile } from './linux/link-file.ts';
import { pageSize } from './linux/pagemap.ts';
import { readCmdline } from './linux/proc/memory-texts.ts';
import { findPipeHolders } from './linux/proc/pipe-holders.ts';
import { readStat } from './linux/proc/stat.ts';
import { readStatus } from './linux/proc/status.ts';
import type { ImageNode } from './objects/object.ts';
import { PageBuffers } from './objects/pages.ts';
import { openSink, type OpenSink, type Sink } from './sink.ts';
import { Precopy } from './precopy.ts';
import { saysVanished, vanished } from './tracee/tracee.ts';
import { isSupervised } from './supervised.ts';
import { version } from './version.ts';
import { paced, type PacedSink } from './write-behind.ts';

export interface Progress {
  readonly phase: Phase;
  /** Bytes of memory written so far. */
  readonly bytes?: number;
  /** Bytes of memory that there are to look at. */
  readonly total?: number;
}

export interface CheckpointOptions {
  /** What becomes of the target: it goes on (default), ends, or stays stopped (SIGSTOP). */
  readonly after?: 'continue' | 'kill' | 'stop';
  /**
   * Patterns for paths (`*`, `?`, `[…]`, `**`): the content of these files comes into the image, of directories with all that is
   * in them, and a restart rolls them back to it.
   */
  readonly carry?: readonly string[];
  /** How the memory in the image is compressed; default: not at all. PRIVILEGE where the library for it is missing. */
  readonly compress?: Compression;
  /** How the memory is written: see {@link FreezeMode}. `auto` (default) takes what stops the target for the shortest time. */
  readonly freeze?: FreezeMode | 'auto';
  /** Descriptors that are left out, in every process: the restarted program does not have them. */
  readonly skipFds?: readonly number[];
  /** An image of the same process: what has not changed since is not written again. A restart then needs that one too. */
  readonly base?: string | undefined;
  /**
   * TCP connections to outside the tree: not carried (default), kept (needs CAP_NET_ADMIN; the other end waits for the restart
   * on this host), or they come back as if the other end had reset them.
   */
  readonly connections?: 'refuse' | 'established' | 'close';
  /** Everything but the writing: tells whether the target can be carried. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** For whoever writes an image on behalf of another process. */
export interface DeliveryOptions {
  /** Awaited before the target is ended or stopped: the image has arrived where it shall be. */
  readonly delivered?: () => Promise<void>;
}

/** Times in milliseconds. */
export interface Stats {
  /** From the request to stop until the target ran on (or ended). */
  readonly freezeMs: number;
  readonly collectMs: number;
  readonly memoryMs: number;
  /** Closing the image: flush to the disk, final name. */
  readonly writeMs: number;
  readonly totalMs: number;
  readonly bytes: number;
  readonly pages: number;
  readonly records: number;
  /** The way in which the memory was written, and why. */
  readonly freezeMode: FreezeMode;
  readonly freezeReason: string;
}

export interface CheckpointResult {
  readonly id: number;
  readonly pid: number;
  readonly path?: string;
  /** SHA-256 of the image's records, hexadecimal; empty for a dry run. */
  readonly digest: string;
  readonly bytes: number;
  readonly stats: Stats;
  /** Kinds of objects in the image. */
  readonly carried: readonly string[];
}

/** Where a self-checkpoint differs: a thread waits in the system call, and the image goes to a descriptor of its own. */
export interface SelfCheckpoint extends Pick<CollectOptions, 'imageFd' | 'answer'> {
  readonly frozen: Frozen;
  readonly id: number;
}

/**
 * Checkpoints process `pid` into `sink` (undefined only for a dry run). Whatever fails, the target runs on as before.
 * Errors: CannotCarryError, VANISHED, PRIVILEGE, FAILED (disk full, closed pipe), ABORTED.
 */
export async function checkpoint(
  pid: number,
  sink: Sink | undefined,
  options: CheckpointOptions & DeliveryOptions = {},
): Promise<CheckpointResult> {
  try {
    return await freezeAndWrite(pid, sink, options);
  } catch (error) {
    // A target that ended in mid-work shows as an ESRCH or EFAULT of whatever was being done.
    const suspect = error instanceof SyscallError || isNodeError(error);
    if (suspect && (saysVanished(error) || hasEnded(pid))) throw vanished(pid, error);
    throw error;
  }
}

function hasEnded(pid: number): boolean {
  try {
    return !readStatus(pid).hasMemory;
  } catch {
    return true;
  }
}

async function freezeAndWrite(
  pid: number,
  sink: Sink | undefined,
  options: CheckpointOptions & DeliveryOptions,
): Promise<CheckpointResult> {
  const started = performance.now();
  options.signal?.throwIfAborted();
  options.onProgress?.({ phase: 'prepare' });
  makeCompressor(options.compress ?? 'none'); // what is missing shows before anything is stopped
  assertCheckpointable(pid);
  const systemCalls = isSupervised(pid, readStatus(pid));
  const dryRun = options.dryRun === true || sink === undefined;
  using base = options.base === undefined ? undefined : openBaseFor(sink, options.base);
  using output = dryRun ? undefined : openSink(sink, { linkFile, durable: options.after === 'kill' });
  const id = dryRun ? 0 : nextCheckpointId();
  const head = makeHead(pid, id, options.compress);

  const pipeHolders = findPipeHolders(pid);

  options.onProgress?.({ phase: 'freeze' });
  const plan = planFreeze(pid, dryRun ? 'stop' : (options.freeze ?? 'auto'), options.after ?? 'continue');
  using ending = options.after === 'kill' && !dryRun ? new Ending() : undefined;
  const collectOptions = {
    systemCalls,
    ending,
    connections: options.connections,
    skipFds: options.skipFds,
    pipeHolders,
    carry: options.carry?.map((pattern) => resolve(pattern)),
  };
  const copy = plan.mode === 'precopy' ? await Precopy.of(pid, plan.known, collectOptions, options.signal) : undefined;
  using precopied = copy instanceof Precopy ? copy : undefined;
  const reason = copy === undefined || copy instanceof Precopy ? plan.reason : `no precopy: ${copy.refused}`;
  using captured = capture(pid, { ...plan, reason }, collectOptions, precopied);
  const { tasks } = captured;
  const clock = { started, frozen: captured.since, collected: captured.collected };
  const report = (totals: Written['totals'], pages: number, memory: number, resumed: number): CheckpointResult =>
    result({ id, pid, tasks, how: captured }, totals, pages, { ...clock, memory }, resumed);
  if (output === undefined) return report({ records: 0, bytes: 0, digest: '' }, 0, captured.collected, captured.release());
  const isSmall = !captured.released && storedBytes(tasks) <= holdLimit;
  const goesOn = options.after === undefined || options.after === 'continue';
  // Of a small process that goes on only the pages are taken while it is stopped: records take longer to write.
  using aside = isSmall && goesOn && base === undefined ? new PutAside(holdLimit) : undefined;
  const held = isSmall && aside === undefined ? new HeldImage() : undefined;
  const written = await writeImage(
    held ?? paced(output),
    { ...head, ...architecture(captured), ...baseOf(base) },
    aside === undefined ? tasks : keepPages(captured, aside),
    options,
    base,
  );
  const memory = performance.now();
  if (options.after === 'kill' || options.after === 'stop') {
    if (held !== undefined) output.write(held.parts);
    await options.delivered?.();
    output.commit(); // only a whole image allows the target to end
    const afterwards = ending?.begin();
    captured.signal(options.after === 'kill' ? SIGKILL : SIGSTOP);
    const resumed = captured.release();
    afterwards?.();
    return { ...report(written.totals, written.pages, memory, resumed), ...pathOf(output) };
  }
  const resumed = captured.release();
  if (held !== undefined) output.write(held.parts);
  output.commit();
  return { ...report(written.totals, written.pages, memory, resumed), ...pathOf(output) };
}

/** The image that is replaced must not be one that the new one needs. */
function openBaseFor(sink: Sink | undefined, path: string): EarlierImage {
  const base = new EarlierImage(resolve(path), { directories: [] });
  const target = sink !== undefined && 'path' in sink ? statSync(sink.path, { throwIfNoEntry: false }) : undefined;
  for (let image: EarlierImage | undefined = base; image !== undefined; image = image.base) {
    const stat = statSync(image.path);
    if (target === undefined || stat.ino !== target.ino || stat.dev !== target.dev) continue;
    base[Symbol.dispose]();
    throw new StasisError('USAGE', `Cannot write the image to ${image.path}: the new image would be based on it`, {
      phase: 'prepare',
      hint: 'Give the new image another name.',
    });
  }
  return base;
}

function baseOf(base: EarlierImage | undefined): Pick<Head, 'base'> {
  return base === undefined ? {} : { base: { digest: base.digest, path: base.path } };
}

/** The records with their pages in our memory; the process runs on. */
function keepPages(captured: Captured, aside: PutAside): TaskNode[] {
  const tasks = captured.tasks.map((task) => mapPages(task, (node) => aside.keep(node, task.pid)));
  captured.release();
  return tasks;
}

/** For the system call: the task is frozen already, and is released by the caller with the answer. */
export async function checkpointSelf(output: OpenSink, self: SelfCheckpoint): Promise<CheckpointResult> {
  const { frozen, id, imageFd, answer } = self;
  const { pid } = frozen.root;
  const head = makeHead(pid, id);
  const tasks = collectProcesses(frozen, { systemCalls: true, imageFd, answer, pipeHolders: findPipeHolders(pid) });
  const collected = performance.now();
  const written = await writeImage(paced(output), { ...head, ...architecture(frozen) }, tasks, {});
  const memory = performance.now();
  const clock = { started: frozen.since, frozen: frozen.since, collected, memory };
  const how = { mode: 'stop', reason: 'the caller waits' } as const;
  return result({ id, pid, tasks, how }, written.totals, written.pages, clock, memory);
}

export function assertCheckpointable(pid: number): void {
  if (pid === process.pid) {
    throw new StasisError('FAILED', 'Cannot checkpoint the process that does the checkpoint', { phase: 'prepare', pid });
  }
  const status = readStatus(pid); // throws VANISHED
  if (isAncestor(pid)) {
    throw new CannotCarryError(pid, [
      {
        object: `process ${process.pid}`,
        place: 'stasis',
        reason: `it does the checkpoint and is itself one of the processes below ${pid}`,
        remedy: 'Checkpoint from outside of the tree: from another terminal, or through the system call',
      },
    ]);
  }
  if (!status.hasMemory) {
    if (status.threads > 1) throw leaderEnded(pid);
    throw new StasisError('VANISHED', `Cannot checkpoint ${pid}: it is a zombie or a kernel thread`, { phase: 'prepare', pid });
  }
  if (status.tracerPid !== 0) {
    throw new CannotCarryError(pid, [
      {
        object: 'tracer',
        place: `process ${status.tracerPid}`,
        reason: 'another process traces it',
        remedy: 'End the debugger or the other checkpoint first',
      },
    ]);
  }
}

/** Of this process. */
function isAncestor(pid: number): boolean {
  for (let at = process.ppid; at > 1; at = readStat(at).ppid) if (at === pid) return true;
  return false;
}

/** The architecture is that of the root, once it has been stopped. */
export function makeHead(pid: number, id: number, compression: Compression = 'none'): Omit<Head, 'architecture'> {
  return {
    revision: currentRevision,
    pageSize,
    kernel: { release: release(), version: kernelVersion() },
    cpu: cpuFacts(),
    createdAt: Date.now(),
    commandLine: readCmdline(pid),
    host: hostname(),
    stasis: version,
    id,
    ...(compression !== 'none' && { compression }),
  };
}

function architecture({ root }: Pick<Frozen, 'root'>): Pick<Head, 'architecture'> {
  return { architecture: root.leader.tracee.architecture.name };
}

export interface Written {
  readonly totals: { readonly records: number; readonly bytes: number; readonly digest: string };
  readonly pages: number;
}

const SIGKILL = 9;
const SIGSTOP = 19;

const turnEvery = 20; // milliseconds

export async function writeImage(
  sink: PacedSink,
  head: Head,
  tasks: readonly TaskNode[],
  options: CheckpointOptions,
  base?: EarlierImage,
): Promise<Written> {
  using buffers = new PageBuffers();
  const compressor = makeCompressor(options.compress ?? 'none');
  using compressed = compressor === undefined ? undefined : new CompressedPages(compressor);
  const writer = new ImageWriter(sink, head);
  const progress = { pages: 0, bytes: 0 };
  const total = storedBytes(tasks);
  let last = performance.now();
  try {
    for (const waiting of writeTasks(writer, tasks, { buffers, compressed, base }, progress)) {
      if (waiting !== undefined) await waiting;
      await sink.settled();
      if (performance.now() - last < turnEvery) continue;
      options.onProgress?.({ phase: 'memory', bytes: progress.bytes, total });
      await turn();
      last = performance.now();
      options.signal?.throwIfAborted();
    }
    const totals = writer.finish();
    await sink.settled();
    return { totals, pages: progress.pages };
  } catch (error) {
    // A stream that cannot be finished ends without its tail, and says why where it still can.
    try {
      writer.fail(error instanceof Error ? error.message : String(error));
      await sink.settled();
    } catch {
      // the sink itself is what failed
    }
    throw error;
  }
}

function storedBytes(nodes: readonly ImageNode[]): number {
  const pagesOf = ({ pages = [] }: ImageNode): number =>
    pages.reduce((sum, value, index) => (index % 2 === 1 ? sum + value : sum), 0);
  return nodes.reduce((sum, entry) => sum + pagesOf(entry) * pageSize + storedBytes(entry.children ?? []), 0);
}

function pathOf(output: OpenSink): { path?: string } {
  return output.path === undefined ? {} : { path: output.path };
}

interface Clock {
  readonly started: number;
  readonly frozen: number;
  readonly collected: number;
  readonly memory: number;
}

interface Subject {
  readonly id: number;
  readonly pid: number;
  readonly tasks: readonly ImageNode[];
  readonly how: { readonly mode: FreezeMode; readonly reason: string };
}

function result(
  { id, pid, tasks, how }: Subject,
  totals: Written['totals'],
  pages: number,
  clock: Clock,
  resumed: number,
): CheckpointResult {
  const now = performance.now();
  const { memory } = clock;
  const carried = new Set<string>();
  const visit = (entry: ImageNode): void => {
    carried.add(entry.record.name);
    entry.children?.forEach(visit);
  };
  tasks.forEach(visit);
  return {
    id,
    pid,
    digest: totals.digest,
    bytes: totals.bytes,
    carried: [...carried],
    stats: {
      freezeMs: resumed - clock.frozen,
      collectMs: clock.collected - clock.frozen,
      memoryMs: memory - clock.collected,
      writeMs: now - memory,
      totalMs: now - clock.started,
      bytes: totals.bytes,
      pages,
      records: totals.records,
      freezeMode: how.mode,
      freezeReason: how.reason,
    },
  };
}
