/**
 * Finds processes that a test file left behind. Everything a test starts inherits STASIS_TEST_RUN, also what was
 * detached, changed its session or was restarted from an image, so the environment finds what no process tree shows.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

export const markerName = 'STASIS_TEST_RUN';

export interface Leftover {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat: together with the pid it names one process for ever. */
  readonly startTime: string;
  readonly command: string;
}

/** Every live process whose environment holds the marker. Zombies have no environment any more and do not count. */
export function findMarked(marker: string): Leftover[] {
  const wanted = `${markerName}=${marker}`;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const environ = readFileSync(`/proc/${name}/environ`, 'latin1');
        if (!environ.split('\0').includes(wanted)) return [];
        const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ').trim();
        return [{ pid: Number(name), startTime: startTime(name), command }];
      } catch {
        return []; // gone in the meantime, or not ours to read
      }
    });
}

/** Waits a moment for processes that are just ending; ends those that stay, and returns them. */
export async function endLeftovers(marker: string, patienceMs: number): Promise<Leftover[]> {
  const deadline = Date.now() + patienceMs;
  let found = findMarked(marker);
  while (found.length > 0 && Date.now() < deadline) {
    await sleep(50);
    found = findMarked(marker);
  }
  // What is ended may have had time to start something more: look again until nothing is left.
  const all = new Map(found.map((process) => [process.pid, process]));
  for (let round = 0; found.length > 0 && round < 20; round++) {
    for (const each of found) end(each);
    await sleep(25);
    found = findMarked(marker);
    for (const each of found) all.set(each.pid, each);
  }
  return [...all.values()];
}

function end(leftover: Leftover): void {
  try {
    if (startTime(String(leftover.pid)) === leftover.startTime) process.kill(leftover.pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}

function startTime(pid: string): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  // comm (field 2) may hold spaces and parentheses; the fields after its last ')' are regular, the first of them field 3.
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}
