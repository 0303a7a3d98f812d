/** `stasis restart`, or `rstr`. */
import { imageSource } from './images.ts';
import { print, printJSON, say } from './output.ts';
import { pidChoices, type PidChoice } from '../pid-choice.ts';
import { UsageError, type Invocation } from './parse.ts';
import { openProgress } from './progress.ts';

export async function restartCommand(invocation: Invocation, signal: AbortSignal): Promise<number> {
  const source = imageSource(invocation);
  const dryRun = invocation.flag('dry-run');
  const json = invocation.flag('json');
  const quiet = invocation.flag('quiet');
  const acceptChangedFiles = invocation.flag('accept-changed-files');
  const pids = pidsOption(invocation);
  const { become, restart } = await import('../restart.ts');
  // From here on the terminal belongs to the program: no progress.
  if (!invocation.flag('detach') && !dryRun) return become(source, { acceptChangedFiles, signal });
  using progress = openProgress(!json && !quiet);
  const result = await restart(source, { acceptChangedFiles, pids, dryRun, signal, onProgress: progress.update });
  progress[Symbol.dispose]();
  if (json) {
    const { pid, notes, stats } = result;
    printJSON({ ok: true, dryRun, ...(!dryRun && { pid }), notes, stats });
    return 0;
  }
  for (const note of result.notes) say(`${invocation.name}: ${note}\n`);
  if (!dryRun) print(`${result.pid}\n`);
  else if (!quiet) print('The image can be restarted here.\n');
  if (invocation.flag('stats')) {
    const { sayStats } = await import('./stats.ts');
    sayStats(result.stats);
  }
  return 0;
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
