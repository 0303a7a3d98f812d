/** `stasis restart`, or `rstr`. */
import { fstatSync } from 'node:fs';
import { resolve } from 'node:path';
import { copiesOf, signalOf } from './branch.ts';
import { imageSource } from './images.ts';
import { print, printJSON, say } from './output.ts';
import { pidChoices, type PidChoice } from '../pid-choice.ts';
import { UsageError, type Invocation } from './parse.ts';
import { openProgress } from './progress.ts';
import type { RestartResult } from '../restart.ts';
import type { Source } from '../source.ts';

export async function restartCommand(invocation: Invocation, signal: AbortSignal): Promise<number> {
  const source = imageSource(invocation);
  const dryRun = invocation.flag('dry-run');
  const json = invocation.flag('json');
  const quiet = invocation.flag('quiet');
  const acceptChangedFiles = invocation.flag('accept-changed-files');
  const pids = pidsOption(invocation);
  const lazy = invocation.flag('lazy');
  const directory = invocation.value('base-dir');
  const baseDirectories = directory === undefined ? [] : [resolve(directory)];
  const copies = copiesOption(invocation, source);
  const notify = signalOption(invocation);
  const inherit = inheritOption(invocation);
  const { become, restart } = await import('../restart.ts');
  // From here on the terminal belongs to the program: no progress.
  if (!invocation.flag('detach') && !dryRun)
    return become(source, { acceptChangedFiles, lazy, inherit, baseDirectories, signal });
  const results: RestartResult[] = [];
  for (let copy = 0; copy < (copies ?? 1); copy++) {
    using progress = openProgress(!json && !quiet);
    const result = await restart(source, {
      acceptChangedFiles,
      lazy,
      pids,
      inherit,
      baseDirectories,
      dryRun,
      signal,
      onProgress: progress.update,
    });
    progress[Symbol.dispose]();
    if (notify !== undefined && !dryRun) {
      const { queueSignal } = await import('../linux/queue-signal.ts');
      queueSignal(result.pid, notify, copy);
    }
    results.push(result);
    if (json) continue;
    for (const note of result.notes) say(`${invocation.name}: ${note}\n`);
    if (!dryRun) print(`${result.pid}\n`);
    else if (!quiet) print('The image can be restarted here.\n');
    if (!invocation.flag('stats')) continue;
    const { sayStats } = await import('./stats.ts');
    sayStats(result.stats);
  }
  if (!json) return 0;
  const documents = results.map(({ pid, notes, stats }) => (dryRun ? { notes, stats } : { pid, notes, stats }));
  printJSON({ ok: true, dryRun, ...(copies === undefined ? documents[0] : { copies: documents }) });
  return 0;
}

/** Our descriptors by those whose place they take. */
function inheritOption(invocation: Invocation): Record<number, number> {
  const value = invocation.value('inherit');
  if (value === undefined) return {};
  const pairs = value.split(',').map((word) => /^fd:(\d{1,9})=(\d{1,9})$/.exec(word));
  const inherit: Record<number, number> = {};
  for (const pair of pairs) {
    if (pair === null)
      throw new UsageError(invocation.name, `--inherit takes fd:N=M, not "${value}"`, 'Example: --inherit fd:7=3 3<file');
    inherit[Number(pair[1])] = Number(pair[2]);
  }
  const closed = Object.values(inherit).find((fd) => !isOpen(fd));
  if (closed !== undefined)
    throw new UsageError(invocation.name, `Descriptor ${closed} is not open here`, 'Open it for this command, as in 3<file');
  return inherit;
}

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

/** Each copy reads the image from its begin. */
function copiesOption(invocation: Invocation, source: Source): number | undefined {
  const copies = copiesOf(invocation);
  if (copies === undefined) return undefined;
  if (!invocation.flag('detach')) throw new UsageError(invocation.name, '--copies needs -d');
  if ('path' in source) return copies;
  throw new UsageError(invocation.name, '--copies needs a FILE: standard input can be read once only');
}

function signalOption(invocation: Invocation): number | undefined {
  const number = signalOf(invocation);
  if (number === undefined || invocation.flag('detach')) return number;
  throw new UsageError(invocation.name, '--signal needs -d');
}

/** In the foreground the program has the id of this process. */
function pidsOption(invocation: Invocation): PidChoice {
  const value = invocation.value('pids') ?? 'keep';
  const choice = pidChoices.find((each) => each === value);
  if (choice === undefined) throw new UsageError(invocation.name, `--pids is ${pidChoices.join(', ')}, not "${value}"`);
  if (choice === 'same' && !invocation.flag('detach') && !invocation.flag('dry-run')) {
    throw new UsageError(
      invocation.name,
      '--pids same needs -d: in the foreground the program takes the place of this command',
      'Give -d, or leave --pids away',
    );
  }
  return choice;
}
