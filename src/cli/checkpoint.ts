/** `stasis checkpoint`, or `ckpt`. */
import type { CheckpointOptions } from '../checkpoint.ts';
import type { Compression } from '../compression.ts';
import type { Sink } from '../sink.ts';
import { processId } from './images.ts';
import { isTerminal, print, printJSON, say } from './output.ts';
import { UsageError, type Invocation } from './parse.ts';
import { openProgress } from './progress.ts';
import { formatBytes, formatMilliseconds } from './text.ts';

export async function checkpointCommand(invocation: Invocation, signal: AbortSignal): Promise<number> {
  const pid = processId(invocation, invocation.argument('PID'));
  const dryRun = invocation.flag('dry-run');
  const json = invocation.flag('json');
  const quiet = invocation.flag('quiet');
  const sink = dryRun ? undefined : imageSink(invocation);
  using progress = openProgress(!json && !quiet);
  const { checkpoint } = await import('../checkpoint.ts');
  const result = await checkpoint(pid, sink, {
    after: after(invocation),
    freeze: freezeMode(invocation),
    base: invocation.value('base'),
    compress: await compression(invocation),
    carry: invocation.values('carry'),
    skipFds: skippedFds(invocation),
    connections: connections(invocation),
    dryRun,
    signal,
    onProgress: progress.update,
  });
  progress[Symbol.dispose]();
  if (json) {
    printJSON({ ok: true, dryRun, ...result });
    return 0;
  }
  if (dryRun) {
    if (!quiet) print(`Process ${pid} can be checkpointed.\n`);
  } else if (!quiet && isTerminal(2)) {
    const where = sink !== undefined && 'path' in sink ? `${sink.path}: ` : '';
    say(
      `${where}checkpoint ${result.id} of process ${pid}, ${formatBytes(result.bytes)}, frozen for ${formatMilliseconds(result.stats.freezeMs)}\n`,
    );
  }
  if (invocation.flag('stats')) {
    const { sayStats } = await import('./stats.ts');
    sayStats(result.stats);
  }
  return 0;
}

function after(invocation: Invocation): NonNullable<CheckpointOptions['after']> {
  if (invocation.flag('kill')) return 'kill';
  return invocation.flag('leave-stopped') ? 'stop' : 'continue';
}

function connections(invocation: Invocation): NonNullable<CheckpointOptions['connections']> {
  if (invocation.flag('tcp-established')) return 'established';
  return invocation.flag('tcp-close') ? 'close' : 'refuse';
}

async function compression(invocation: Invocation): Promise<Compression> {
  const word = invocation.value('compress') ?? 'none';
  if (word === 'none') return word;
  const { compressionWords, parseCompression } = await import('../compression.ts');
  if (parseCompression(word) !== undefined) return word as Compression;
  throw new UsageError(invocation.name, `There is no --compress=${word}`, `Known are ${compressionWords}`);
}

function skippedFds(invocation: Invocation): number[] {
  const value = invocation.value('skip-fd');
  if (value === undefined) return [];
  if (!/^\d{1,9}(,\d{1,9})*$/.test(value))
    throw new UsageError(invocation.name, `--skip-fd takes numbers of descriptors, not "${value}"`, 'Example: --skip-fd 5,7');
  return value.split(',').map(Number);
}

function freezeMode(invocation: Invocation): NonNullable<CheckpointOptions['freeze']> {
  const modes = ['auto', 'stop', 'fork', 'precopy'] as const;
  const word = invocation.value('freeze') ?? 'auto';
  const mode = modes.find((each) => each === word);
  if (mode !== undefined) return mode;
  throw new UsageError(invocation.name, `There is no --freeze ${word}`, `The modes are: ${modes.join(', ')}`);
}

/** Standard output carries either the image or the document, and no terminal wants an image. */
function imageSink(invocation: Invocation): Sink {
  const { name } = invocation;
  const file = invocation.value('output');
  if (file !== undefined && file !== '-') return { path: file };
  const typed = `${name} ${invocation.argument('PID')}`;
  if (invocation.flag('json')) {
    throw new UsageError(
      name,
      'With --json, standard output carries the document, so the image needs a file',
      `Name one: ${typed} --json -o FILE`,
    );
  }
  if (isTerminal(1)) {
    throw new UsageError(
      name,
      'Standard output is a terminal, and an image is no text',
      `Name a file: ${typed} -o FILE. Or redirect: ${typed} > FILE`,
    );
  }
  return { fd: 1 };
}
