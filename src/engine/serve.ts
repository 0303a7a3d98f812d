/**
 * The engine: a process beside the caller that does the ptrace work, so that the caller's event loop goes on, a
 * program can checkpoint any other, and its crash or ^C leaves every target running. It ends with its caller.
 */
import { closeSync } from 'node:fs';
import { checkpoint } from '../checkpoint.ts';
import { doctor } from '../doctor.ts';
import { StasisError } from '../errors.ts';
import { connectTo } from '../linux/connect.ts';
import { readStat } from '../linux/proc/stat.ts';
import { restart } from '../restart.ts';
import { runBackground } from '../run.ts';
import type { Answers, FromEngine, Place, Started, ToEngine, Work } from './protocol.ts';

const aborts = new Map<number, AbortController>();

export async function main(): Promise<void> {
  // Not process.exit: when Node ends in order it gives terminals the settings back that it found at its start.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  process.on('message', (message: ToEngine) => {
    if ('abort' in message) aborts.get(message.id)?.abort();
    else void answer(message.id, message.work);
  });
  send({ ready: true });
}

function send(message: FromEngine): void {
  process.send?.(message);
}

async function answer(id: number, work: Work): Promise<void> {
  const controller = new AbortController();
  aborts.set(id, controller);
  try {
    send({ id, result: await perform(id, work, controller.signal) });
  } catch (error) {
    send({ id, error: asStasisError(error, controller.signal).toJSON() });
  } finally {
    aborts.delete(id);
  }
}

async function perform(id: number, work: Work, signal: AbortSignal): Promise<Answers[keyof Answers]> {
  const options = { signal, onProgress: (progress: Parameters<NonNullable<Parameters<typeof checkpoint>[2]>['onProgress'] & {}>[0]) => send({ id, progress }) };
  switch (work.kind) {
    case 'checkpoint': {
      const { pid, sink, after, dryRun } = work;
      using place = sink === undefined ? undefined : open(sink);
      return await checkpoint(pid, place?.target, { ...options, after, dryRun });
    }
    case 'restart': {
      const { acceptChangedFiles, dryRun } = work;
      using place = open(work.source);
      const result = await restart(place.target, { ...options, acceptChangedFiles, dryRun });
      return { ...result, startTime: dryRun ? 0 : startTimeOf(result.pid) };
    }
    case 'run': {
      const pid = runBackground(work.command, work);
      return { pid, startTime: startTimeOf(pid) } satisfies Started;
    }
    case 'doctor':
      return await doctor();
  }
}

/** 0 for a process that has already ended. */
function startTimeOf(pid: number): number {
  try {
    return readStat(pid).starttime;
  } catch {
    return 0;
  }
}

function open(place: Place): { target: { path: string } | { fd: number } } & Disposable {
  if ('path' in place) return { target: place, [Symbol.dispose]: () => {} };
  const fd = connectTo(place.socket, place.token);
  return { target: { fd }, [Symbol.dispose]: () => closeSync(fd) };
}

function asStasisError(error: unknown, signal: AbortSignal): StasisError {
  if (signal.aborted) return new StasisError('ABORTED', 'The operation was aborted');
  if (error instanceof StasisError) return error;
  return new StasisError('FAILED', error instanceof Error ? (error.stack ?? error.message) : String(error));
}
