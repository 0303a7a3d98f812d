/**
 * The helper of a restart in the foreground: not a child of the process that becomes the program, so that the program
 * has no child it does not know. It reads the image, tells the process what to execute, and rebuilds it from outside.
 */
import { closeSync, writeSync } from 'node:fs';
import { StasisError } from '../errors.ts';
import { messagesFd, say } from '../messages.ts';
import type { Birth } from '../rebuild.ts';
import { rebuildFrom, type Order } from '../restart.ts';
import { openSource, type Source } from '../source.ts';
import { Tracee } from '../tracee/tracee.ts';

interface Request {
  readonly source: Source;
  /** The process that becomes the program. */
  readonly pid: number;
  /** Where it waits for orders. */
  readonly orders: number;
  readonly acceptChangedFiles: boolean;
  readonly inherit: Readonly<Record<number, number>>;
  readonly baseDirectories: readonly string[];
  readonly terminal?: string;
  readonly imageOnStdin: boolean;
  readonly lazy: boolean;
}

export async function main(text: string): Promise<void> {
  const request = JSON.parse(text) as Request;
  let sent = false;
  const send = (order: Order): void => {
    if (sent) return;
    sent = true;
    writeSync(request.orders, `${JSON.stringify(order)}\n`);
    closeSync(request.orders);
  };
  const birth: Birth = (path, systemCalls) => {
    const tracee = Tracee.seize(request.pid, { killOnOurDeath: true });
    send({ execute: path, systemCalls });
    tracee.waitForExec();
    return tracee;
  };
  try {
    using input = openSource(request.source);
    const surroundings = { imageOnStdin: request.imageOnStdin, terminal: request.terminal };
    const { acceptChangedFiles, inherit, baseDirectories } = request;
    const result = await rebuildFrom(
      input,
      { birth, acceptChangedFiles, inherit, baseDirectories, surroundings },
      { lazy: request.lazy, errors: messagesFd },
      true,
    );
    result.notes.forEach(say);
  } catch (error) {
    const failure = error instanceof StasisError ? error : new StasisError('RESTART_FAILED', String(error), { cause: error });
    if (!sent) send({ error: failure.toJSON() });
    else say(failure.hint === undefined ? failure.message : `${failure.message}\n${failure.hint}`);
    process.exitCode = failure.exitCode;
  }
}
