import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ImageError } from '../../errors.ts';
import { runCampaign } from './campaign.ts';
import { kinds, rewrite, sampleImage } from './fixture.ts';
import { mutate, mutationNames } from './mutations.ts';
import { Random } from './random.ts';
import { putTogether, takeApart } from './records.ts';

/** STASIS_MUTANTS=100000 makes it thorough. */
const count = Number(process.env['STASIS_MUTANTS'] ?? 3000);

test('an image that was taken apart comes together again', () => {
  assert.deepEqual(putTogether(takeApart(sampleImage())), sampleImage());
});

test('a seed gives the same mutant again, and every mutation is reached', () => {
  const apart = takeApart(sampleImage());
  const names = new Set<string>();
  for (let seed = 0; seed < 500; seed++) {
    const first = mutate(apart, sampleImage(), new Random(seed));
    assert.deepEqual(mutate(apart, sampleImage(), new Random(seed)), first);
    names.add(first.name);
  }
  assert.deepEqual([...names].toSorted(), mutationNames.toSorted());
});

test(`${count} mutants raise nothing but ImageError, in bounded time and memory`, () => {
  const { whole, errors } = runCampaign({ image: sampleImage(), kinds, count, seed: 1 });
  assert.ok(whole < count / 2, `${whole} taken for whole`);
  // Deep code was reached: many different complaints, and not most of them about checksums.
  assert.ok(errors.size > 100, `${errors.size} different errors`);
  const atChecksums = [...errors].filter(([message]) => message.includes('checksum'));
  assert.ok(atChecksums.reduce((sum, [, times]) => sum + times, 0) < count / 2);
});

test('a mutant that is accepted can be written again, to an image that is accepted', () => {
  const image = sampleImage();
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
