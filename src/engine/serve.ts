/**
 * The engine: a process beside the caller that does the ptrace work, so that the caller's event loop goes on, a
 * program can checkpoint any other, and its crash or ^C leaves every target running. It ends with its caller.
 */
import { closeSync, statSync } from 'node:fs';
import { branch } from '../branch.ts';
import { checkpoint, type Progress } from '../checkpoint.ts';
import { doctor } from '../doctor.ts';
import { StasisError } from '../errors.ts';
import { connectTo, endOutput } from '../linux/connect.ts';
import { PidFd } from '../linux/descriptors.ts';
import { ExitWatch } from '../linux/exit-watch.ts';
import { syscall } from '../linux/ffi.ts';
import { readStat } from '../linux/proc/stat.ts';
import { restart } from '../restart.ts';
import { runBackground } from '../run.ts';
import { openStreams } from '../standard-streams.ts';
import { firstGivenFd, type Answers, type FromEngine, type Place, type ToEngine, type Work } from './protocol.ts';

interface InWork {
  readonly abort: AbortController;
  delivered: () => void;
}

const inWork = new Map<number, InWork>();
const exits = new ExitWatch();

export async function main(): Promise<void> {
  process.on('disconnect', () => {
    for (const { abort } of inWork.values()) abort.abort();
    if (inWork.size === 0) end();
  });
  process.on('exit', () => exits.stop());
  process.on('message', (message: ToEngine) => {
    if ('work' in message) void answer(message.id, message.work);
    else if ('abort' in message) inWork.get(message.id)?.abort.abort();
    else inWork.get(message.id)?.delivered();
  });
}

/** Not process.exit: when Node ends in order it gives terminals the settings back that it found at its start. */
function end(): void {
  process.kill(process.pid, 'SIGKILL');
}

function send(message: FromEngine): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => {}); // the caller may be gone
}

async function answer(id: number, work: Work): Promise<void> {
  const abort = new AbortController();
  inWork.set(id, { abort, delivered: () => {} });
  // The writes of an image cannot be interrupted: should the caller end while its reader stands still, we end with it.
  const mayBlock = isStream(work);
  if (mayBlock) endWithParent(true);
  try {
    send({ id, result: await perform(id, work, abort.signal) });
  } catch (error) {
    send({ id, error: asStasisError(error, abort.signal).toJSON() });
  } finally {
    if (mayBlock) endWithParent(false);
    for (let fd = firstGivenFd; fd < firstGivenFd + work.given; fd++) closeSync(fd);
    inWork.delete(id);
    if (!process.connected) end();
  }
}

async function perform(id: number, work: Work, signal: AbortSignal): Promise<Answers[keyof Answers]> {
  const options = { signal, onProgress: (progress: Progress) => send({ id, progress }) };
  switch (work.kind) {
    case 'checkpoint': {
      const { pid, sink, after, compress, connections, carry, freeze, skipFds, base, dryRun } = work;
      using place = sink === undefined ? undefined : open(sink);
      const delivered = async (): Promise<void> => {
        if (place?.end === undefined) return;
        place.end();
        await delivery(id, signal);
      };
      return await checkpoint(pid, place?.target, {
        ...options,
        after,
        compress,
        connections,
        carry,
        freeze,
        skipFds,
        base,
        dryRun,
        delivered,
      });
    }
    case 'restart': {
      const { acceptChangedFiles, lazy, pids, baseDirectories, dryRun } = work;
      using place = open(work.source);
      using streams = openStreams(work.streams);
      const born = (pid: number): void => watch(id, pid);
      const result = await restart(place.target, {
        ...options,
        acceptChangedFiles,
        lazy,
        errors: streams.fds[2],
        pids,
        baseDirectories,
        dryRun,
        streams: streams.fds,
        born,
      });
      return { ...result, startTime: dryRun ? 0 : startTimeOf(result.pid) };
    }
    case 'run': {
      using streams = openStreams(work.streams);
      const { command, directory, environment } = work;
      const started = runBackground(command, { directory, environment, streams: streams.fds, born: (pid) => watch(id, pid) });
      return { ...started, startTime: startTimeOf(started.pid) };
    }
    case 'branch': {
      const { pid, copies } = work;
      let index = 0;
      const result = await branch(pid, { copies, signal, born: (copy) => watch(id, copy, index++) });
      return {
        ...result,
        branches: result.branches.map((each) => Object.assign(each, { startTime: startTimeOf(each.pid) })),
      };
    }
    case 'doctor':
      return await doctor();
  }
}

function watch(id: number, pid: number, index = 0): void {
  exits.add(new PidFd(pid), (ended) => send({ id, index, ended }));
}

/** The caller says when its stream has everything. */
async function delivery(id: number, signal: AbortSignal): Promise<void> {
  const work = inWork.get(id);
  if (work === undefined) return;
  await new Promise<void>((resolve, reject) => {
    work.delivered = resolve;
    signal.addEventListener('abort', () => reject(aborted()));
    send({ id, written: true });
  });
}

/** 0 for a process that has already ended. */
function startTimeOf(pid: number): number {
  try {
    return readStat(pid).starttime;
  } catch {
    return 0;
  }
}

interface OpenPlace extends Disposable {
  readonly target: { readonly path: string } | { readonly fd: number };
  /** For a connection: nothing more is written. */
  readonly end?: () => void;
}

function open(place: Place): OpenPlace {
  if (!('socket' in place)) return { target: place, [Symbol.dispose]: () => {} };
  const fd = connectTo(place.socket, place.token);
  return { target: { fd }, end: () => endOutput(fd), [Symbol.dispose]: () => closeSync(fd) };
}

function isStream(work: Work): boolean {
  const place = work.kind === 'checkpoint' ? work.sink : work.kind === 'restart' ? work.source : undefined;
  if (place === undefined || 'socket' in place) return false; // the caller itself is at the other end
  if ('fd' in place) return true;
  try {
    return !statSync(place.path).isFile();
  } catch {
    return false; // not there yet; or the work itself will say what is wrong
  }
}

function endWithParent(on: boolean): void {
  const PR_SET_PDEATHSIG = 1;
  syscall('prctl', PR_SET_PDEATHSIG, on ? 9 : 0, 0, 0, 0);
}

function aborted(): StasisError {
  return new StasisError('ABORTED', 'The operation was aborted');
}

function asStasisError(error: unknown, signal: AbortSignal): StasisError {
  if (signal.aborted) return aborted();
  if (error instanceof StasisError) return error;
  return new StasisError('FAILED', error instanceof Error ? (error.stack ?? error.message) : String(error));
}
