import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageError } from '../../errors.ts';
import { runCampaign } from './campaign.ts';
import { kinds, rewrite, sampleImage as fixtureImage } from './fixture.ts';
import { mutate } from './mutations.ts';
import { Random } from './random.ts';
import { putTogether, takeApart } from './records.ts';
import { sampleImage, sampleKinds } from './sample.ts';

/** STASIS_MUTANTS=100000 makes it thorough. */
const count = Number(process.env['STASIS_MUTANTS'] ?? 3000);

test('an image that was taken apart comes together again', () => {
  for (const image of [sampleImage(), fixtureImage()]) assert.deepEqual(putTogether(takeApart(image)), image);
});

for (const [name, image, table] of [
  ['sample', sampleImage(), sampleKinds],
  ['fixture', fixtureImage(), kinds],
] as const) {
  test(`${count} mutants of the ${name} image raise nothing but ImageError, in bounded time and memory`, () => {
    const result = runCampaign({ image, kinds: table, count, seed: 1 });
    assert.ok(result.whole < count / 2, `${result.whole} taken for whole`);
    // Deep code was reached: many different complaints, and not most of them about checksums.
    assert.ok(result.errors.size > 50, `${result.errors.size} different errors`);
    const atChecksums = [...result.errors].filter(([message]) => message.includes('checksum'));
    assert.ok(atChecksums.reduce((sum, [, times]) => sum + times, 0) < count / 2);
  });
}

test('a mutant that is accepted can be written again, to an image that is accepted', () => {
  const image = fixtureImage();
  const apart = takeApart(image);
  let accepted = 0;
  for (let seed = 1; seed <= count / 2; seed++) {
    const { name, bytes } = mutate(apart, image, new Random(seed));
    let written: Uint8Array;
    try {
      written = rewrite(bytes);
    } catch (error) {
      assert.ok(error instanceof ImageError, `seed ${seed} (${name}): ${String(error)}`);
      continue;
    }
    assert.deepEqual(rewrite(written), written, `seed ${seed} (${name})`);
    accepted++;
  }
  assert.ok(accepted > 0);
});
