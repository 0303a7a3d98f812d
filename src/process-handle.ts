/** A process that was started for us and that is not our child. */
import { readFileSync } from 'node:fs';
import type { Ended } from './linux/exit-watch.ts';
import { parseStat } from './linux/proc/stat.ts';

export type { Ended } from './linux/exit-watch.ts';

/** How a handle learns of the end; see engine/client.ts. */
export type Waiter = () => Promise<Ended | undefined>;

/** A process in the background: nobody's child, so it outlives its caller. */
export class ProcessHandle {
  readonly pid: number;
  readonly #startTime: number;
  readonly #waiter: Waiter;

  constructor(pid: number, startTime: number, waiter: Waiter) {
    this.pid = pid;
    this.#startTime = startTime;
    this.#waiter = waiter;
  }

  /** Whether it still runs. A later process with the same number does not count. */
  get alive(): boolean {
    try {
      const { state, starttime } = parseStat(readFileSync(`/proc/${this.pid}/stat`, 'utf8'));
      return starttime === this.#startTime && state !== 'Z' && state !== 'X';
    } catch {
      return false;
    }
  }

  /**
   * Sends a signal (0: only asks); false when the process has ended.
   * @throws the error of process.kill when it may not be signalled any more (EPERM).
   */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    return this.alive && process.kill(this.pid, signal);
  }

  /**
   * Resolves when it has ended: exit code, or the name of the signal that ended it. Both are null where only its parent
   * could know: before Linux 6.15, when its parent was fast. A waiting caller stays alive for it.
   */
  async wait(): Promise<Ended> {
    const ended = await this.#waiter();
    if (ended !== undefined) return ended;
    for (let pause = 5; this.alive; pause = Math.min(pause * 2, 100)) {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
    return { code: null, signal: null };
  }
}
