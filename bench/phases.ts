/** The phases of a checkpoint, as `--stats` tells them, against the whole of it. */
import type { Stats } from '../src/checkpoint.ts';
import type { Program } from '../test/program.ts';
import { figure, type Figure } from './figures.ts';
import { withoutFile, type Workshop } from './workshop.ts';

const names = { freezeMs: 'frozen', collectMs: 'collect', memoryMs: 'memory', writeMs: 'write' } as const;

export async function phases(workshop: Workshop, program: Program, title: string, rounds: number): Promise<Figure[]> {
  const all: Stats[] = [];
  for (let round = 0; round < rounds; round++) {
    await withoutFile(workshop.fresh(), (path) => {
      const { stdout } = workshop.stasis('checkpoint', String(program.pid), '-o', path, '--json');
      all.push((JSON.parse(stdout) as { stats: Stats }).stats);
    });
  }
  const totals = all.map(({ totalMs }) => totalMs);
  return Object.entries(names).map(([key, name]) =>
    figure(
      { name: `${title}: ${name}`, against: 'from its begin to its end' },
      all.map((stats) => stats[key as keyof typeof names]),
      totals,
    ),
  );
}
