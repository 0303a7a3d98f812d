/**
 * What our helper processes have to say goes to the standard error of whoever started them, but not as their descriptor
 * 2: when Node ends it gives terminals on 0, 1 and 2 the settings back that it found, and would undo the program's.
 */
import { writeSync } from 'node:fs';
import { closeFrom, silence, type SpawnTable } from './linux/spawn.ts';

export const messagesFd = 5;

/** For the starting side: gives the helper our standard error (or `errors`) as its descriptor for messages, and no other stream.
 * `more` gives it more descriptors and answers the highest that it has then. */
export function detachStreams(table: SpawnTable, errors = 2, more: () => number = () => messagesFd): void {
  const F_SETFD = 2;
  table.add('fcntl', [errors, F_SETFD, 0], true);
  table.add('dup3', [errors, messagesFd, 0], true); // fails when it is that already
  closeFrom(table, more() + 1);
  for (const fd of [0, 1, 2]) silence(table, fd);
}

/** For the helper: one line for people. Nobody may be there to read it. */
export function say(message: string): void {
  try {
    writeSync(messagesFd, `stasis: ${message}\n`);
  } catch {
    // the reader has gone: the work goes on
  }
}

/** For the helper: its own mistakes are messages too. */
export function sayUncaught(): void {
  process.on('uncaughtException', (error) => {
    say(`Unexpected error: ${error.stack ?? error.message}`);
    process.exit(1);
  });
}
