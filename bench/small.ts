/** A small C program: the whole commands against `node -e 0`, the start of Node itself. */
import { figure, inTurns, type Figure } from './figures.ts';
import { phases } from './phases.ts';
import { withoutFile, type Workshop } from './workshop.ts';

export async function small(workshop: Workshop): Promise<Figure[]> {
  const program = await workshop.start('steps');
  const image = workshop.fresh();
  workshop.stasis('checkpoint', String(program.pid), '-o', image);
  const node = () => workshop.timed('node', '-e', '0').ms;
  const checkpoint = await inTurns(workshop.rounds, {
    stasis: () => withoutFile(workshop.fresh(), (path) => workshop.stasis('checkpoint', String(program.pid), '-o', path).ms),
    node,
  });
  const phasesOfCheckpoint = await phases(workshop, program, 'stasis checkpoint', workshop.rounds);
  await workshop.stop(program);
  const restart = await inTurns(workshop.rounds, { stasis: async () => (await workshop.restart(image)).ms, node });
  const against = 'node -e 0';
  return [
    figure({ name: 'stasis checkpoint', against, goal: { of: 'ratio', limit: 1.8 } }, checkpoint.stasis, checkpoint.node),
    figure({ name: 'stasis restart -d', against, goal: { of: 'ratio', limit: 2 } }, restart.stasis, restart.node),
    ...phasesOfCheckpoint,
  ];
}
