/**
 * One process that checkpoints and restarts over and over. A request is a line of JSON on stdin, the answer one on stdout.
 * It uses the built package: its API, which has the
 * work done by an engine process, or the stories behind it in this very process.
 */
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { CheckpointResult } from '../src/checkpoint.ts';
import type { RestartResult } from '../src/restart.ts';
import { identify, kill, processState } from '../test/processes.ts';
import { until } from '../test/program.ts';
import type { WarmAnswer, WarmRequest } from './warm.ts';

interface Verbs {
  readonly through: WarmRequest['through'];
  readonly checkpoint: (pid: number, sink: { path: string }) => Promise<CheckpointResult>;
  readonly restart: (source: { path: string }) => Promise<Pick<RestartResult, 'pid'>>;
}

/** By a name that the compiler does not see: what is built is not part of the sources. */
async function load(name: string): Promise<Omit<Verbs, 'through'>> {
  return (await import(join(import.meta.dirname, '..', 'dist', name))) as Omit<Verbs, 'through'>;
}

async function verbs(through: WarmRequest['through']): Promise<Verbs> {
  if (through === 'API') return { through, ...(await load('index.js')) };
  return { through, ...(await load('checkpoint.js')), ...(await load('restart.js')) };
}

const references = {
  true: () => void spawnSync('/bin/true'),
  smaps: (pid: number) => void fs.readFileSync(`/proc/${pid}/smaps`),
  fds: (pid: number) => {
    for (const fd of fs.readdirSync(`/proc/${pid}/fd`)) {
      fs.readlinkSync(`/proc/${pid}/fd/${fd}`);
      fs.readFileSync(`/proc/${pid}/fdinfo/${fd}`);
    }
  },
};

async function milliseconds(action: () => unknown): Promise<number> {
  const begin = performance.now();
  await action();
  return performance.now() - begin;
}

async function measure({ through, checkpoint, restart }: Verbs, request: WarmRequest): Promise<WarmAnswer> {
  const answer: WarmAnswer = { through, checkpoint: [], freeze: [], restart: [], reference: [] };
  for (let round = -request.before; round < request.rounds; round++) {
    const sample = { checkpoint: 0, freeze: 0, restart: 0, reference: 0 };
    sample.checkpoint = await milliseconds(async () => {
      sample.freeze = (await checkpoint(request.pid, { path: request.image })).stats.freezeMs;
    });
    if (request.restart) {
      let pid = 0;
      sample.restart = await milliseconds(async () => {
        ({ pid } = await restart({ path: request.image }));
      });
      const restarted = identify(pid);
      kill(restarted, 'SIGKILL');
      await until(`the end of ${pid}`, () => processState(restarted) === undefined);
    }
    fs.rmSync(request.image);
    sample.reference = await milliseconds(() => references[request.reference](request.pid));
    if (round < 0) continue;
    for (const name of Object.keys(sample) as (keyof typeof sample)[]) answer[name].push(sample[name]);
  }
  return answer;
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line) as WarmRequest;
  process.stdout.write(`${JSON.stringify(await measure(await verbs(request.through), request))}\n`);
}
process.exit(0); // the engine would hold us
