/**
 * Explores with a live interpreter: from its present state five copies each take another step; the best one is kept, all others
 * end, and the next round starts from it. Run: node examples/explore.mjs [ROUNDS]
 */
import { mkdtempSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { branch, run } from 'stasis';

const rounds = Number(process.argv[2] ?? 6);
const directory = mkdtempSync(join(tmpdir(), 'explore-'));
const steps = [0, 1, 2, 3, 4].map((index) => [Math.cos(index * 1.2566) * 0.4, Math.sin(index * 1.2566) * 0.4]);

/** Tells a climber to take a step; how high it is then. */
async function tell(pid, [dx, dy]) {
  const path = join(directory, String(pid));
  writeFileSync(`${path}.writing`, `${dx} ${dy}`);
  renameSync(`${path}.writing`, `${path}.step`);
  while (!existsSync(`${path}.height`)) await sleep(2);
  const height = Number(readFileSync(`${path}.height`, 'utf8'));
  rmSync(`${path}.height`);
  return height;
}

const script = new URL('climber.py', import.meta.url).pathname;
let current = await run(['/usr/bin/python3', script, directory], { streams: { output: 'inherit', error: 'inherit' } });
try {
  let height = await tell(current.pid, [0, 0]);
  for (let round = 1; round <= rounds; round++) {
    const { branches, freezeMs } = await branch(current.pid, { copies: steps.length });
    const heights = await Promise.all(branches.map(({ pid }, index) => tell(pid, steps[index])));
    const best = heights.indexOf(Math.max(...heights));
    console.log(
      `round ${round}: ${heights.map((each) => each.toFixed(3)).join(' ')}, frozen for ${freezeMs.toFixed(1)} ms, best is ${best + 1}`,
    );
    for (const process of branches) if (process !== branches[best]) process.kill('SIGKILL');
    if (heights[best] <= height) {
      branches[best].kill('SIGKILL');
      break;
    }
    current.kill('SIGKILL');
    current = branches[best];
    height = heights[best];
  }
  console.log(`the best place is at ${height.toFixed(3)}`);
} finally {
  current.kill('SIGKILL');
  rmSync(directory, { recursive: true });
}
