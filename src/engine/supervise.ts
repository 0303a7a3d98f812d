/** The supervisor: answers checkpoint and restart for the tasks under `stasis run`, until none of them is left, and makes a series. */
import { setImmediate as turn } from 'node:timers/promises';
import { answerCheckpoint, answerRestart } from '../serve-calls.ts';
import { say } from '../messages.ts';
import { Listener, NR_checkpoint, type Notification } from '../linux/seccomp.ts';
import { Series, type SeriesOptions } from '../series.ts';
import { listenerFd } from '../supervisor.ts';

/** `--supervise`, the pid of the program, and what series is to be made of it. */
export async function main([, pid = '', series]: readonly string[]): Promise<void> {
  const listener = new Listener(listenerFd);
  if (series !== undefined) return await serveWithSeries(listener, Number(pid), JSON.parse(series) as SeriesOptions);
  for (let call = listener.next(); call !== undefined; call = listener.next()) await answer(listener, call);
}

async function answer(listener: Listener, call: Notification): Promise<void> {
  await (call.number === NR_checkpoint ? answerCheckpoint(listener, call) : answerRestart(listener, call));
}

/** A signal ends the waiting at once when it comes to this thread, else it is seen after this time. */
const longestWait = 500;

async function serveWithSeries(listener: Listener, pid: number, options: SeriesOptions): Promise<void> {
  let asked = false;
  for (const name of options.on) process.on(name, () => (asked = true));
  using series = start(pid, options);
  for (;;) {
    const call = listener.next(Math.min(series?.wait ?? longestWait, longestWait));
    if (call === undefined) return;
    if (call !== 'nothing') await answer(listener, call);
    await turn(); // handlers of signals run here
    if (series === undefined || (!asked && series.wait > 0)) continue;
    asked = false;
    await series.take();
  }
}

function start(pid: number, options: SeriesOptions): Series | undefined {
  try {
    return new Series(pid, options);
  } catch (error) {
    say(`No images are made: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}
