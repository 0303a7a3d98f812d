/**
 * Mutates an image many times and reads each mutation as inspect and verify do: nothing but an ImageError may come out.
 *
 *     npm run fuzz -- [IMAGE] [--count N] [--seed N]
 *
 * Without IMAGE it takes a small one that has everything the format has. A failure is left in build/fuzz-failure.image.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { CampaignFailure, runCampaign } from '../src/image/testing/campaign.ts';
import { kinds as sampleKinds, sampleImage } from '../src/image/testing/fixture.ts';
import { kinds } from '../src/objects/registry.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { count: { type: 'string', default: '100000' }, seed: { type: 'string', default: String(Date.now() % 2 ** 31) } },
});
const [count, seed] = [Number(values.count), Number(values.seed)];
if (!Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(seed))
  throw new Error('--count and --seed take whole numbers');
const [path] = positionals;
const subject =
  path === undefined ? { image: sampleImage(), kinds: sampleKinds } : { image: new Uint8Array(readFileSync(path)), kinds };

const begin = performance.now();
try {
  const onProgress = (done: number): void => {
    if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${count}`);
  };
  const { whole, errors, slowestMs, largest } = runCampaign({ ...subject, count, seed, onProgress });
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${count} mutated images (seed ${seed}) in ${seconds} s: ${whole} read to their end, ${count - whole} refused`);
  console.log(
    `${errors.size} different errors; slowest ${slowestMs.toFixed(1)} ms; largest growth ${(largest / 2 ** 20).toFixed(1)} MiB`,
  );
  console.log(`peak resident memory ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB`);
} catch (error) {
  if (!(error instanceof CampaignFailure)) throw error;
  mkdirSync('build', { recursive: true });
  writeFileSync('build/fuzz-failure.image', error.bytes);
  console.error(error.message, error.cause ?? '');
  console.error('The image is in build/fuzz-failure.image');
  process.exitCode = 1;
}
