/** From an invocation to the file of its command, and from signals to an AbortSignal. */
import { constants } from 'node:os';
import { StasisError } from '../errors.ts';
import type { CommandName } from './commands.ts';
import type { Invocation } from './parse.ts';

/** What a command does; the answer is the exit code. */
export type Command = (invocation: Invocation, signal: AbortSignal) => Promise<number>;

const loaders: Readonly<Record<CommandName, () => Promise<Command>>> = {
  checkpoint: async () => (await import('./checkpoint.ts')).checkpointCommand,
  restart: async () => (await import('./restart.ts')).restartCommand,
  branch: async () => (await import('./branch.ts')).branchCommand,
  run: async () => (await import('./run.ts')).runCommand,
  inspect: async () => (await import('./inspect.ts')).inspectCommand,
  verify: async () => (await import('./verify.ts')).verifyCommand,
  merge: async () => (await import('./merge.ts')).mergeCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
};

const endings = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Runs the command. The first ^C (or SIGTERM, SIGHUP) asks it to roll back, the second one ends it at once: the target
 * heals by itself then. After a roll-back the exit code is 128 + the signal, as the shell expects.
 */
export async function runCommand(invocation: Invocation): Promise<number> {
  const load = loaders[invocation.command.name];
  if (!canRollBack(invocation)) return (await load())(invocation, new AbortController().signal);
  // At the limit on file sizes (ulimit -f) the kernel sends SIGXFSZ, which would end us; handled, write answers EFBIG.
  process.on('SIGXFSZ', () => {});
  const controller = new AbortController();
  let received: (typeof endings)[number] | undefined;
  for (const name of endings) {
    process.once(name, () => {
      received = name;
      controller.abort(new StasisError('ABORTED', `Ended by ${name}; nothing was changed`));
    });
  }
  try {
    return await (
      await load()
    )(invocation, controller.signal);
  } catch (error) {
    if (received === undefined || !(error instanceof StasisError) || error.code !== 'ABORTED') throw error;
    const { reportError } = await import('./report.ts');
    reportError(error, invocation);
    return 128 + constants.signals[received];
  }
}

/** Reading needs no handler; and before this process becomes a program, a signal ends it as it would end the program. */
function canRollBack(invocation: Invocation): boolean {
  const { name } = invocation.command;
  return (
    name === 'checkpoint' ||
    name === 'branch' ||
    (name === 'restart' && (invocation.flag('detach') || invocation.flag('dry-run')))
  );
}
