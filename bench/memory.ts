/**
 * A process with 1, 2 and 4 GiB of random data: saving it against `cp` of such a file from tmpfs to the same place,
 * restarting it against read() of the file into fresh memory; peak memory of stasis; the phases.
 */
import * as fs from 'node:fs';
import { figure, inTurns, median, type Figure } from './figures.ts';
import { phases } from './phases.ts';
import { cProgram, withoutFile, type Workshop } from './workshop.ts';

const peakGoal = 150;

export async function memory(workshop: Workshop, { quick }: { quick: boolean }): Promise<Figure[]> {
  const figures: Figure[] = [];
  const first: Partial<Record<'save' | 'restart', number>> = {};
  for (const mebibytes of quick ? [256] : [1024, 2048, 4096]) {
    const size = mebibytes >= 1024 ? `${mebibytes / 1024} GiB` : `${mebibytes} MiB`;
    if (freeMiB() < 3.5 * mebibytes) {
      console.error(`Left out: ${size} needs ${3.5 * mebibytes} MiB of free memory`);
      continue;
    }
    for (const made of await oneSize(workshop, mebibytes, size)) figures.push(made);
    for (const verb of ['save', 'restart'] as const) {
      const here = figures.find(({ name }) => name === `${verb} ${size}`)?.value ?? 0;
      const smallest = (first[verb] ??= here / mebibytes);
      if (here / mebibytes === smallest) continue;
      const against = `${mebibytes / 1024} times the time for 1 GiB`;
      figures.push({
        ...figure(
          { name: `${verb} ${size}: growth`, against, goal: { of: 'ratio', limit: 1.25 } },
          [here],
          [smallest * mebibytes],
        ),
      });
    }
  }
  return figures;
}

async function oneSize(workshop: Workshop, mebibytes: number, size: string): Promise<Figure[]> {
  const rounds = mebibytes > 1024 ? Math.min(workshop.rounds, 5) : workshop.rounds;
  const peaks = { save: [] as number[], restart: [] as number[] };
  const program = await workshop.start('memory', String(mebibytes));
  const image = workshop.fresh();
  workshop.stasis('checkpoint', String(program.pid), '-o', image);
  return await withoutFile(image, async () => {
    const saving = await inTurns(rounds, {
      stasis: () =>
        withoutFile(workshop.fresh(), (path) => {
          const { ms, peakMiB } = workshop.stasis('checkpoint', String(program.pid), '-o', path);
          peaks.save.push(peakMiB);
          return ms;
        }),
      cp: () => withoutFile(workshop.fresh(), (path) => workshop.timed('cp', image, path).ms),
    });
    const phasesOfSave = await phases(workshop, program, `save ${size}`, Math.min(rounds, 3));
    await workshop.stop(program);
    const restarting = await inTurns(rounds, {
      stasis: async () => {
        const { ms, peakMiB } = await workshop.restart(image);
        peaks.restart.push(peakMiB);
        return ms;
      },
      read: () => workshop.timed(cProgram('read-file'), image).ms,
    });
    const goal = { of: 'ratio', limit: 1.5 } as const;
    return [
      figure({ name: `save ${size}`, against: 'cp of the image', goal }, saving.stasis, saving.cp),
      figure({ name: `restart ${size}`, against: 'read() of the image', goal }, restarting.stasis, restarting.read),
      peak(`save ${size}: peak memory`, peaks.save),
      peak(`restart ${size}: peak memory`, peaks.restart),
      ...phasesOfSave,
    ];
  });
}

function peak(name: string, values: readonly number[]): Figure {
  const value = median(values);
  const goal = { of: 'value', limit: peakGoal } as const;
  return { name, value, unit: 'MiB', against: 'the limit', reference: peakGoal, ratio: value / peakGoal, goal };
}

function freeMiB(): number {
  const available = /^MemAvailable:\s+(\d+)/m.exec(fs.readFileSync('/proc/meminfo', 'utf8'))?.[1];
  return Number(available) / 1024;
}
