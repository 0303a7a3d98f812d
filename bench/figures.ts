/** What a benchmark gives: figures, each the ratio of something measured to a named reference of the same run. */

export interface Figure {
  readonly name: string;
  /** Median, in `unit`. */
  readonly value: number;
  readonly unit: 'ms' | 'µs' | 'MiB';
  /** What `reference` is; with a fixed limit instead of a reference: the limit. */
  readonly against: string;
  readonly reference: number;
  readonly ratio: number;
  /** Upper limit, in the same words as the figure is read: of the ratio, or of the value itself. */
  readonly goal?: { readonly of: 'ratio' | 'value'; readonly limit: number };
  /** All rounds, in the order they were measured. */
  readonly samples?: { readonly value: readonly number[]; readonly reference: readonly number[] };
}

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new Error('A median needs at least one value');
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

export interface FigureOptions extends Pick<Figure, 'name' | 'against' | 'goal'> {
  readonly unit?: Figure['unit'];
}

/** The figure for samples of both, taken in turns. */
export function figure(options: FigureOptions, value: readonly number[], reference: readonly number[]): Figure {
  const [own, other] = [median(value), median(reference)];
  return { unit: 'ms', ...options, value: own, reference: other, ratio: own / other, samples: { value, reference } };
}

export type Side = () => number | Promise<number>;

/** Runs both in turns, A B A B …, after one round of each that does not count. What each returns is its sample. */
export async function inTurns<Names extends string>(
  rounds: number,
  sides: Record<Names, Side>,
): Promise<Record<Names, number[]>> {
  const names = Object.keys(sides) as Names[];
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Names, number[]>;
  for (let round = -1; round < rounds; round++) {
    for (const name of names) {
      const sample = await sides[name]();
      if (round >= 0) samples[name].push(sample);
    }
  }
  return samples;
}

export function met({ goal, ratio, value }: Figure): boolean | undefined {
  return goal === undefined ? undefined : (goal.of === 'ratio' ? ratio : value) <= goal.limit;
}

const digits = (value: number): string => value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);

/** A table in Markdown that is readable as it is. */
export function table(figures: readonly Figure[]): string {
  const rows = figures.map((each) => {
    const { name, value, unit, against, reference, ratio, goal } = each;
    const limit = goal === undefined ? '' : `≤ ${goal.limit}${goal.of === 'value' ? ` ${unit}` : ' ×'}`;
    const verdict = { true: 'yes', false: 'no', undefined: '' }[String(met(each)) as 'true' | 'false' | 'undefined'];
    return [name, `${digits(value)} ${unit}`, `${against}: ${digits(reference)} ${unit}`, `${digits(ratio)} ×`, limit, verdict];
  });
  const lines = [['', 'median', 'reference', 'ratio', 'goal', 'met'], ...rows];
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length), 3));
  const text = (line: string[]): string => `| ${line.map((cell, column) => cell.padEnd(widths[column]!)).join(' | ')} |`;
  return [text(lines[0]!), text(widths.map((width) => '-'.repeat(width))), ...lines.slice(1).map(text)].join('\n');
}
