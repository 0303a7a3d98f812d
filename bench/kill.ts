/**
 * The commands are killed by SIGKILL at random moments, many times: `tsx bench/kill.ts [ROUNDS]` (default 300). The test of
 * the suite does it with more rounds: the target never dies, stops or errs, and nothing half restarted is left.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { checkout } from '../test/harness.ts';

const rounds = Number(process.argv[2] ?? 300);
if (!Number.isSafeInteger(rounds) || rounds < 1) throw new Error('usage: tsx bench/kill.ts [ROUNDS]');
const { status } = spawnSync(
  process.execPath,
  ['--import', 'tsx', '--test-reporter', 'spec', '--test', join(checkout, 'test', 'sigkill.test.ts')],
  {
    stdio: 'inherit',
    cwd: checkout,
    env: { ...process.env, STASIS_KILL_ROUNDS: String(rounds) },
  },
);
process.exitCode = status ?? 1;
