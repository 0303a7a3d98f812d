/** What one more mapping and one more descriptor cost, from the slope between few and many. */
import { join } from 'node:path';
import { checkout } from '../test/harness.ts';
import { figure, type Figure } from './figures.ts';
import { WarmProcess, type WarmAnswer, type WarmRequest } from './warm.ts';
import type { Workshop } from './workshop.ts';

const source = join(checkout, 'bench', 'programs', 'many.c');

export async function growth(workshop: Workshop, { quick }: { quick: boolean }): Promise<Figure[]> {
  await using process = new WarmProcess();
  const measure = async (vmas: number, fds: number, reference: WarmRequest['reference']): Promise<WarmAnswer> => {
    const program = await workshop.start(source, String(vmas), String(fds));
    const { pid } = program;
    const answer = await process.ask({
      through: 'stories',
      pid,
      image: workshop.fresh(),
      rounds: workshop.rounds,
      before: 3,
      restart: true,
      reference,
    });
    await workshop.stop(program);
    return answer;
  };
  const figures: Figure[] = [];
  const series = async (
    word: string,
    counts: readonly number[],
    run: (count: number) => Promise<WarmAnswer>,
    against: string,
  ) => {
    let few: { count: number; answer: WarmAnswer } | undefined;
    for (const count of counts) {
      const answer = await run(count);
      if (few !== undefined) {
        const low = few;
        const each = (name: 'checkpoint' | 'restart' | 'reference'): number[] =>
          answer[name].map((value, round) => ((value - (low.answer[name][round] ?? 0)) * 1000) / (count - low.count));
        for (const verb of ['checkpoint', 'restart'] as const) {
          const name = `${verb}: each ${word}, ${low.count} to ${count}`;
          figures.push(figure({ name, against, unit: 'µs' }, each(verb), each('reference')));
        }
      }
      few = { count, answer };
    }
  };
  await series(
    'vma',
    quick ? [100, 1000] : [100, 1000, 10_000],
    (count) => measure(count, 0, 'smaps'),
    'its lines in smaps, read',
  );
  await series(
    'descriptor',
    quick ? [10, 100] : [10, 100, 1000],
    (count) => measure(0, count, 'fds'),
    'its link and fdinfo, read',
  );
  return figures;
}
