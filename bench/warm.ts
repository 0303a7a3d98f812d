/** The stories in a process that has done them before, as a library is used: the driver of warm-process.ts. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { figure, type Figure } from './figures.ts';
import type { Workshop } from './workshop.ts';

export interface WarmRequest {
  readonly through: 'API' | 'stories';
  readonly pid: number;
  readonly image: string;
  readonly rounds: number;
  /** Rounds before, that are not counted. */
  readonly before: number;
  /** A restart too; its program is ended at once. */
  readonly restart: boolean;
  /** What to take as the reference: fork and wait of /bin/true, or reading what /proc says of the target. */
  readonly reference: 'true' | 'smaps' | 'fds';
}

/** Milliseconds of each round. */
export interface WarmAnswer {
  readonly through: WarmRequest['through'];
  readonly checkpoint: number[];
  readonly freeze: number[];
  readonly restart: number[];
  readonly reference: number[];
}

export class WarmProcess implements AsyncDisposable {
  readonly #child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'warm-process.ts')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  readonly #answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();

  async ask(request: WarmRequest): Promise<WarmAnswer> {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    const answer = await this.#answers.next();
    if (answer.done === true) throw new Error('The warm process ended');
    return JSON.parse(answer.value) as WarmAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end();
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit');
  }
}

export async function warm(workshop: Workshop): Promise<Figure[]> {
  const program = await workshop.start('steps');
  await using process = new WarmProcess();
  const figures: Figure[] = [];
  for (const through of ['API', 'stories'] as const) {
    const answer = await process.ask({
      through,
      pid: program.pid,
      image: workshop.fresh(),
      rounds: Math.max(workshop.rounds, 15),
      before: 30,
      restart: true,
      reference: 'true',
    });
    const against = '/bin/true started and awaited there';
    const made = (name: string, limit: number, values: readonly number[]): Figure =>
      figure({ name: `warm ${name} (${through})`, against, goal: { of: 'value', limit } }, values, answer.reference);
    figures.push(
      made('checkpoint', 10, answer.checkpoint),
      made('checkpoint, frozen', 6, answer.freeze),
      made('restart', 15, answer.restart),
    );
  }
  await workshop.stop(program);
  return figures;
}
