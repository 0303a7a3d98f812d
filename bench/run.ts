/**
 * `npm run bench`: every figure is a ratio to a named reference that is measured in turns with it. See docs/benchmarks.md.
 *
 *     npm run bench -- [--only NAME]… [--json FILE] [--rounds N] [--quick]
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import { parseArgs } from 'node:util';
import { checkout } from '../test/harness.ts';
import { engine } from './engine.ts';
import { met, table, type Figure } from './figures.ts';
import { growth } from './growth.ts';
import { memory } from './memory.ts';
import { small } from './small.ts';
import { warm } from './warm.ts';
import { Workshop } from './workshop.ts';

const benchmarks = { small, warm, growth, memory, engine };

const { values: options } = parseArgs({
  options: {
    only: { type: 'string', multiple: true, default: Object.keys(benchmarks) },
    json: { type: 'string', default: 'build/bench.json' },
    rounds: { type: 'string', default: '7' },
    quick: { type: 'boolean', default: false },
  },
});
const { quick } = options;
const rounds = quick ? 3 : Number(options.rounds);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('--rounds takes a whole number');
const unknown = options.only.find((name) => !Object.hasOwn(benchmarks, name));
if (unknown !== undefined) throw new Error(`There is no benchmark ${unknown}, only ${Object.keys(benchmarks).join(', ')}`);

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit', cwd: checkout });

const load = (): string =>
  os
    .loadavg()
    .map((value) => value.toFixed(2))
    .join(' ');
const figures: Figure[] = [];
const machine = {
  date: new Date().toISOString(),
  cpu: os.cpus()[0]?.model ?? '',
  cores: os.cpus().length,
  memoryGiB: Math.round(os.totalmem() / 2 ** 30),
  kernel: os.release(),
  node: process.version,
  rounds,
  loadBefore: load(),
};
console.log(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}`);
console.log(`${machine.date}, medians of ${rounds}, load before: ${machine.loadBefore}\n`);
for (const name of options.only as (keyof typeof benchmarks)[]) {
  using workshop = new Workshop(rounds);
  const made = await benchmarks[name](workshop, { quick });
  console.log(`${table(made)}\n`);
  figures.push(...made);
}
const missed = figures.filter((each) => met(each) === false);
console.log(`Load after: ${load()}. Goals met: ${figures.filter(met).length}, missed: ${missed.length}`);
fs.mkdirSync('build', { recursive: true });
fs.writeFileSync(options.json, `${JSON.stringify({ ...machine, loadAfter: load(), figures }, undefined, 1)}\n`);
