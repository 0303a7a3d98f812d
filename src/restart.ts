/** The story of a restart: read the image forward, let a fresh task become what it describes, let it go. */
import { closeSync, readSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Progress } from './checkpoint.ts';
import { errorFromJSON, ImageError, StasisError, SyscallError, type ErrorJSON } from './errors.ts';
import { openBase } from './earlier-image.ts';
import { engineCommand } from './engine-command.ts';
import { assertUnchanged, type FileIdentity } from './objects/file.ts';
import { is } from './image/events.ts';
import { headKind, type Head } from './image/head.ts';
import { pageSize } from './linux/pagemap.ts';
import { readEvents } from './image/read-events.ts';
import { codecNames, codecOf } from './linux/codecs.ts';
import { ImageReader } from './image/reader.ts';
import { architectures } from './arch/recognise.ts';
import { x86_64 } from './arch/x86_64.ts';
import { syscall, syscallError } from './linux/ffi.ts';
import { LazyRestart } from './lazy-restart.ts';
import { makePipe } from './linux/descriptors.ts';
import { readStat } from './linux/proc/stat.ts';
import { controllingTerminal } from './linux/terminal.ts';
import { detachStreams } from './messages.ts';
import { environment, SpawnTable, type Streams } from './linux/spawn.ts';
import { superviseSpawned, superviseThisProcess } from './supervisor.ts';
import { undoNode } from './run.ts';
import { bytesOf, pages, type PageBuffers } from './objects/pages.ts';
import { kindOf, kinds } from './objects/registry.ts';
import { executable, task } from './objects/task.ts';
import { carriedFile } from './objects/carried-file.ts';
import { file } from './objects/file.ts';
import { tree } from './objects/tree.ts';
import { vmaPrivateFile } from './objects/vma-private-file.ts';
import type { PidChoice } from './pid-choice.ts';
import type { Birth } from './rebuild.ts';
import { ImageRebuild, type RebuildOptions } from './rebuild-image.ts';
import { openSource, type OpenSource, type Source } from './source.ts';
import { pidRefused } from './tracee/pids.ts';
import { Tracee } from './tracee/tracee.ts';

export interface RestartOptions {
  /** Mapped files may have changed since the checkpoint. */
  readonly acceptChangedFiles?: boolean;
  /** The ids that processes and threads have afterwards; default: 'keep'. In the foreground the program has that of this process. */
  readonly pids?: PidChoice;
  /**
   * The program runs before all of its memory has come; the rest follows, first what it touches. The image must be a file, and
   * stay as it is until then. PRIVILEGE without CAP_SYS_PTRACE.
   */
  readonly lazy?: boolean;
  /** Where to look for the image on which this one is based, if it is not where it was. */
  readonly baseDirectories?: readonly string[];
  /** Reads and checks everything, starts nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
}

/** For whoever restarts on behalf of another process. */
export interface BirthOptions {
  /** What the program finds as its standard streams where it cannot have its own again; default: ours. */
  readonly streams?: Streams;
  /** Our descriptors in the place of those that the root process had, by the numbers of the latter, and of all that shared them. */
  readonly inherit?: Readonly<Record<number, number>>;
  /** Called with the pid of the new process before it does anything. */
  readonly born?: (pid: number) => void;
  /** Our descriptor for what helper processes have to say; default: standard error. */
  readonly errors?: number;
}

/** Times in milliseconds. */
export interface RestartStats {
  readonly totalMs: number;
  readonly bytes: number;
  readonly pages: number;
}

export interface RestartResult {
  /** 0 for a dry run. */
  readonly pid: number;
  readonly stats: RestartStats;
  /** What the program could not be given back. */
  readonly notes: readonly string[];
}

/**
 * Restarts in the background: a process of its own, in a session of its own, nobody's child. Whatever fails, nothing
 * of it is left. Errors: ImageError, RESTART_FAILED, PRIVILEGE, ABORTED.
 */
export async function restart(source: Source, options: RestartOptions & BirthOptions = {}): Promise<RestartResult> {
  options.signal?.throwIfAborted();
  using input = openSource(source);
  if (options.dryRun === true)
    return await tryOut(input, { ...options, baseDirectories: beside(source, options.baseDirectories) });
  const imageOnStdin = 'fd' in source && source.fd === 0;
  const surroundings = { imageOnStdin, terminal: undefined };
  const { acceptChangedFiles = false, pids = 'keep', inherit = {}, baseDirectories = [] } = options;
  const birth: Birth = (path, systemCalls, pid) =>
    spawnStopped(path, systemCalls, pids === 'new' ? undefined : { pid, strict: pids === 'same' }, options);
  return await rebuildFrom(
    input,
    { birth, acceptChangedFiles, surroundings, pids, inherit, baseDirectories: beside(source, baseDirectories) },
    options,
  );
}

/** Where a base may be: in the directory of the image, and in those given. */
export function beside(source: Source, directories: readonly string[] = []): string[] {
  return 'path' in source ? [dirname(resolve(source.path)), ...directories] : [...directories];
}

/** The part that all ways of restarting share. `exitCode`: the failing task ends with the code of the error. */
export async function rebuildFrom(
  input: OpenSource,
  rebuildOptions: RebuildOptions,
  options: RestartOptions & Pick<BirthOptions, 'errors'>,
  exitCode = false,
): Promise<RestartResult & { systemCalls: boolean }> {
  const started = performance.now();
  using rebuild = new ImageRebuild(rebuildOptions);
  using lazy = options.lazy === true ? new LazyRestart(input, rebuild, options.errors ?? 2) : undefined;
  const counts = { bytes: 0, pages: 0 };
  let systemCalls = false;
  try {
    for await (const event of eventsOf(input, options, counts, rebuild.buffers)) {
      if (is(event, headKind)) rebuild.findBase(event.value);
      const comesLate = lazy?.add(event) === true;
      const kind = kindOf(event.kind.tag);
      if (event.type === 'close') {
        kind?.close?.(rebuild.task);
        lazy?.closed(event);
        continue;
      }
      if (is(event, tree.record)) rebuild.beginTree(event.value);
      if (is(event, task.record)) {
        systemCalls ||= event.value.systemCalls;
        rebuild.beginTask(event.value.pid);
      }
      if (kind?.restart === undefined) continue;
      if (comesLate) continue;
      const { objref } = event;
      const data = event.data ?? lazy?.dataOf(event, rebuild.buffers);
      const file = input.isFile ? { fd: input.fd, offset: event.dataOffset } : undefined;
      kind.restart(event.value, rebuild.task, {
        objref,
        ...(data !== undefined && { data }),
        ...(file !== undefined && { file }),
      });
    }
    lazy?.awaitKeeper();
    rebuild.finish();
    return {
      pid: rebuild.rootPid,
      stats: { totalMs: performance.now() - started, ...counts },
      notes: [...new Set(rebuild.notes)], // threads say the same
      systemCalls,
    };
  } catch (error) {
    const failure = asRestartError(error);
    rebuild.abort(exitCode ? failure.exitCode : undefined);
    throw failure;
  }
}

/** A restart that fails has one of three reasons: the image, a privilege, or this machine; the cause says more. */
function asRestartError(error: unknown): StasisError {
  if (error instanceof StasisError && ['IMAGE', 'PRIVILEGE', 'RESTART_FAILED', 'ABORTED'].includes(error.code)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new StasisError('RESTART_FAILED', `Cannot restart: ${message}`, { phase: 'restore', cause: error });
}

const turnEvery = 20; // milliseconds

async function* eventsOf(
  input: OpenSource,
  options: RestartOptions,
  counts: { bytes: number; pages: number },
  buffers?: PageBuffers,
) {
  const reader = new ImageReader(
    kinds,
    buffers === undefined
      ? {}
      : { data: options.lazy === true ? 'skip' : 'check', buffer: (bytes) => buffers.next.bytes.subarray(0, bytes) },
  );
  let last = performance.now();
  for (const event of readEvents(reader, input)) {
    if (is(event, headKind)) assertForThisMachine(event.value, event.offset);
    if (event.type === 'leaf' && is(event, pages.record)) {
      const bytes = bytesOf(event.value);
      counts.bytes += bytes;
      counts.pages += bytes / pageSize;
    }
    if (performance.now() - last > turnEvery) {
      options.onProgress?.({ phase: 'memory', bytes: counts.bytes });
      await turn();
      last = performance.now();
      options.signal?.throwIfAborted();
    }
    yield event;
  }
}

function assertForThisMachine(head: Head, offset: number): void {
  if (!architectures.some(({ name }) => name === head.architecture)) {
    throw new ImageError(
      `Cannot restart here: the image was made on ${head.architecture}, this machine is ${x86_64.name}`,
      offset,
      'head.architecture',
    );
  }
  if (head.pageSize !== pageSize) {
    throw new ImageError(
      `Cannot restart here: the image has pages of ${head.pageSize} bytes, this machine has ${pageSize}`,
      offset,
      'head.pageSize',
    );
  }
  const name = head.compression?.split(':')[0];
  if (name === undefined) return;
  const known = codecNames.find((candidate) => candidate === name);
  if (known === undefined)
    throw new ImageError(
      `Cannot restart here: the image is compressed with ${name}, which this version does not know`,
      offset,
      'head.compression',
    );
  codecOf(known, `Cannot restart: the image is compressed with ${name}`);
}

/** A dry run: the whole image, and the files that it needs. */
async function tryOut(input: OpenSource, options: RestartOptions): Promise<RestartResult> {
  const started = performance.now();
  const counts = { bytes: 0, pages: 0 };
  const described = new Map<number, FileIdentity>();
  const carried = new Set<string>(); // they will be what they were
  for await (const event of eventsOf(input, options, counts)) {
    if (event.type === 'close') continue;
    if (is(event, carriedFile.record)) carried.add(event.value.path);
    if (is(event, headKind) && event.value.base !== undefined)
      openBase(event.value.base, { directories: options.baseDirectories ?? [] })[Symbol.dispose]();
    if (is(event, file.record)) described.set(event.objref, event.value);
    if (!is(event, executable.record) && !is(event, vmaPrivateFile.record)) continue;
    const identity = described.get((event.value as { file: number }).file);
    if (identity !== undefined && !carried.has(identity.path)) assertUnchanged(identity, options.acceptChangedFiles === true);
  }
  return { pid: 0, stats: { totalMs: performance.now() - started, ...counts }, notes: [] };
}

/** The id that a process shall have; not `strict`: if it is free and may be chosen. */
interface WantedId {
  readonly pid: number;
  readonly strict: boolean;
}

/** A new process that executes `path` and stops there. */
function spawnStopped(
  path: string,
  systemCalls: boolean,
  wanted: WantedId | undefined,
  { streams = [0, 1, 2], inherit = {}, born }: BirthOptions,
): Tracee {
  const table = new SpawnTable(x86_64.code.spawn);
  table.blockSignals();
  const gate = table.gate();
  table.add('setsid', []);
  table.streams(streams);
  table.inherit(...Object.values(inherit));
  const supervision = systemCalls ? superviseSpawned(table, streams[2]) : undefined;
  table.execute(path, [path], []);
  const pid = startAs(table, wanted);
  born?.(pid);
  const tracee = Tracee.seize(pid, { killOnOurDeath: true });
  gate.open();
  supervision?.afterStart(pid);
  tracee.waitForExec();
  table.free();
  return tracee;
}

function startAs(table: SpawnTable, wanted: WantedId | undefined): number {
  if (wanted === undefined) return table.start();
  try {
    return table.start({ pid: wanted.pid });
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    if (wanted.strict) throw pidRefused(wanted.pid, -error.errno);
    return table.start();
  }
}

/**
 * Restarts in the foreground: this very process becomes the program, with its pid, its place in the shell's job
 * control and its exit status. A helper that is not our child reads the image and rebuilds us from outside. Returns
 * only by throwing, and only as long as nothing has happened yet.
 */
export function become(source: Source, options: RestartOptions & Pick<BirthOptions, 'inherit'> = {}): never {
  const orders = new Helper(source, options);
  const { execute, systemCalls } = orders.next();
  if (systemCalls) superviseThisProcess();
  undoNode();
  const F_SETFD = 2;
  for (const fd of Object.values(options.inherit ?? {})) syscall('fcntl', fd, F_SETFD, 0);
  const table = new SpawnTable(x86_64.code.spawn); // only for its strings
  const result = syscall('execve', table.text(execute), table.texts([execute]), table.texts([]));
  throw syscallError('execve', result, `Cannot execute ${execute}`, { code: 'RESTART_FAILED', phase: 'exec' });
}

/** What the helper says on the pipe, one JSON document a line. */
export type Order = { readonly execute: string; readonly systemCalls: boolean } | { readonly error: ErrorJSON };

class Helper {
  readonly #pipe: number;

  constructor(source: Source, options: RestartOptions & Pick<BirthOptions, 'inherit'>) {
    const [read, write] = makePipe();
    const request = {
      source,
      pid: process.pid,
      acceptChangedFiles: options.acceptChangedFiles === true,
      lazy: options.lazy === true,
      inherit: options.inherit ?? {},
      baseDirectories: beside(source, options.baseDirectories),
      terminal: controllingTerminal(readStat(process.pid).tty_nr),
    };
    const table = new SpawnTable(x86_64.code.spawn);
    table.blockSignals();
    table.add('setsid', []);
    const orders = 3;
    const image = 4;
    const F_SETFD = 2;
    if ('fd' in source) {
      if (source.fd === image) table.add('fcntl', [image, F_SETFD, 0]);
      else table.add('dup3', [source.fd, image, 0]);
    }
    table.add('dup3', [write, orders, 0]);
    detachStreams(table);
    table.unblockSignals();
    const command = engineCommand('become', [
      JSON.stringify({
        ...request,
        source: 'fd' in source ? { fd: image } : source,
        orders,
        imageOnStdin: 'fd' in source && source.fd === 0,
      }),
    ]);
    table.execute(command[0] ?? '', command, environment());
    const helper = table.start();
    closeSync(write);
    const PR_SET_PTRACER = 0x59616d61; // where Yama asks for it
    syscall('prctl', PR_SET_PTRACER, helper, 0, 0, 0);
    this.#pipe = read;
  }

  next(): Extract<Order, { execute: string }> {
    const bytes = Buffer.alloc(1 << 20);
    let length = 0;
    while (!bytes.subarray(0, length).includes(0x0a)) {
      const got = readSync(this.#pipe, bytes, length, bytes.length - length, null);
      if (got === 0)
        throw new StasisError('RESTART_FAILED', 'Cannot restart: the helper process ended without a word', { phase: 'exec' });
      length += got;
    }
    const order = JSON.parse(bytes.toString('utf8', 0, length)) as Order;
    if ('error' in order) throw errorFromJSON(order.error);
    return order;
  }
}
