/** What the memory engine does beyond copying: compression, restarts whose memory comes late, tens of thousands of mappings. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../test/harness.ts';
import type { Stats } from '../src/checkpoint.ts';
import type { Program } from '../test/program.ts';
import { figure, inTurns, type Figure, type Side } from './figures.ts';
import { withoutFile, type Workshop } from './workshop.ts';

export async function engine(workshop: Workshop, { quick }: { quick: boolean }): Promise<Figure[]> {
  return [
    ...(await compression(workshop, quick ? '64' : '512')),
    ...(await lazy(workshop, quick ? '128' : '1024')),
    ...(await mappings(workshop, quick ? '2000' : '20000')),
  ];
}

const checkpointTo = (workshop: Workshop, { pid }: Program, path: string, ...flags: readonly string[]) =>
  workshop.stasis('checkpoint', String(pid), '-o', path, '--freeze=stop', ...flags);

/** Data that shrinks to a fifth or so. */
async function compression(workshop: Workshop, mebibytes: string): Promise<Figure[]> {
  const program = await workshop.start('compressible', mebibytes);
  const sizes: Record<string, number> = {};
  const side =
    (how: string): Side =>
    () =>
      withoutFile(workshop.fresh(), (path) => {
        const { ms } = checkpointTo(workshop, program, path, `--compress=${how}`);
        sizes[how] = fs.statSync(path).size / 2 ** 20;
        return ms;
      });
  const saved = await inTurns(workshop.rounds, { none: side('none'), lz4: side('lz4'), zstd1: side('zstd:1') });
  await workshop.stop(program);
  const named = `${mebibytes} MiB`;
  const against = 'not compressed';
  return [
    figure({ name: `save ${named}, lz4`, against, goal: { of: 'ratio', limit: 1.5 } }, saved.lz4, saved.none),
    figure({ name: `save ${named}, zstd:1`, against }, saved.zstd1, saved.none),
    figure({ name: `save ${named}, lz4: size`, against, unit: 'MiB' }, [sizes['lz4'] ?? 0], [sizes['none'] ?? 0]),
    figure(
      { name: `save ${named}, zstd:1: size`, against: 'lz4', unit: 'MiB', goal: { of: 'ratio', limit: 1 } },
      [sizes['zstd:1'] ?? 0],
      [sizes['lz4'] ?? 0],
    ),
  ];
}

/** `restart -d` returns when the program has been let go, so it tells when that runs. */
async function lazy(workshop: Workshop, mebibytes: string): Promise<Figure[]> {
  const program = await workshop.start('memory', mebibytes);
  const image = workshop.fresh();
  checkpointTo(workshop, program, image);
  await workshop.stop(program);
  return await withoutFile(image, async () => {
    const restarted = await inTurns(workshop.rounds, {
      lazy: async () => (await workshop.restart(image, '--lazy')).ms,
      eager: async () => (await workshop.restart(image)).ms,
      node: () => workshop.timed(process.execPath, '-e', '0').ms,
    });
    const name = `restart ${mebibytes} MiB --lazy: until it runs`;
    return [
      figure({ name, against: 'all memory at once' }, restarted.lazy, restarted.eager),
      figure({ name, against: 'node -e 0' }, restarted.lazy, restarted.node),
    ];
  });
}

async function mappings(workshop: Workshop, count: string): Promise<Figure[]> {
  const program = await workshop.start(join(checkout, 'bench', 'programs', 'many.c'), count, '0');
  const image = workshop.fresh();
  checkpointTo(workshop, program, image);
  return await withoutFile(image, async () => {
    const figures = await inTurns(workshop.rounds, {
      save: () =>
        withoutFile(workshop.fresh(), (path) => {
          const { stdout } = checkpointTo(workshop, program, path, '--json');
          const { stats } = JSON.parse(stdout) as { stats: Stats };
          return stats.freezeMs;
        }),
      restart: async () => (await workshop.restart(image)).ms,
      smaps: () => {
        const begin = performance.now();
        fs.readFileSync(`/proc/${program.pid}/smaps`);
        return performance.now() - begin;
      },
    });
    await workshop.stop(program);
    const against = 'their smaps, read';
    return [
      figure({ name: `${count} mappings: frozen`, against, goal: { of: 'value', limit: 150 } }, figures.save, figures.smaps),
      figure({ name: `${count} mappings: restart`, against, goal: { of: 'value', limit: 1000 } }, figures.restart, figures.smaps),
    ];
  });
}
