/** A process that we started and that is not our child. */
import { readFileSync } from 'node:fs';
import { parseStat } from './linux/proc/stat.ts';

export class ProcessHandle {
  readonly pid: number;
  readonly #startTime: number;

  constructor(pid: number, startTime: number) {
    this.pid = pid;
    this.#startTime = startTime;
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

  /** Sends a signal; false when the process has ended. */
  kill(signal: NodeJS.Signals | number = 'SIGTERM'): boolean {
    return this.alive && process.kill(this.pid, signal);
  }

  /** Resolves when it has ended. Its exit status is known to its parent alone, which we are not. */
  async wait(): Promise<void> {
    for (let pause = 5; this.alive; pause = Math.min(pause * 2, 100)) {
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
