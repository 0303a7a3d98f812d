/** An image from a machine that had been up for longer: its clocks go on from there, in a time namespace where that is allowed. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { decodeCbor, encodeCbor } from '../src/image/cbor.ts';
import { putTogether, takeApart } from '../src/image/testing/records.ts';
import { clocks } from '../src/objects/clocks.ts';
import { begin } from './expectations.ts';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { ordinaryUser } from './processes.ts';
import type { Program } from './program.ts';

const day = 86_400n * 1_000_000_000n;
const { uid, skip } = ordinaryUser(checkout);
const noNamespace = !fs.existsSync('/proc/self/ns/time') && 'needs CONFIG_TIME_NS';

/** An image of `program` as that machine would have written it, had it been up for a day more. */
async function imageOfElsewhere(room: Room, name: string): Promise<Program> {
  const program = await begin(room, name);
  await room.checkpoint(program, room.path('image'), '--kill');
  await program.gone();
  const apart = takeApart(fs.readFileSync(room.path('image')));
  const records = apart.records.map((record) => {
    if (record.tag !== clocks.record.tag) return record;
    const fields = new Map(decodeCbor(record.payload) as Map<string, unknown>);
    for (const name of ['monotonic', 'boottime']) fields.set(name, BigInt(fields.get(name) as number | bigint) + day);
    return { ...record, payload: encodeCbor(fields.set('boot', 'another')) };
  });
  fs.writeFileSync(room.path('image'), putTogether({ ...apart, records }));
  return program;
}

const uptimeIn = (pid: number): bigint => {
  const [, seconds] = /^monotonic +(-?\d+)/m.exec(fs.readFileSync(`/proc/${pid}/timens_offsets`, 'utf8')) ?? [];
  return BigInt(seconds ?? 0);
};

suite('clocks', { skip: lacks('gcc', 'libc6-dev') || skip || noNamespace }, () => {
  test('go on from where they were, through another checkpoint too', async () => {
    using room = new Room();
    const program = await imageOfElsewhere(room, 'spin');
    const again = await room.restart(room.path('image'), program);
    const added = uptimeIn(again.pid);
    assert.ok(added > 86_000n, `${added} s are added`);
    assert.notEqual(fs.readlinkSync(`/proc/${again.pid}/ns/time`), fs.readlinkSync('/proc/self/ns/time'));
    await room.checkpoint(again, room.path('image.2'), '--kill');
    const third = await room.restart(room.path('image.2'), program);
    assert.equal(uptimeIn(third.pid), added);
    room.go();
    await third.passes();
  });

  test('of a program in a time namespace of its own', { skip: lacks('util-linux') }, async () => {
    using room = new Room();
    const apart = ['unshare', '--time', '--monotonic', '500000', '--boottime', '600000', '--'];
    const program = await room.start([...apart, room.program('uptime'), room.path('go')]);
    await program.line(/^ready/);
    assert.equal(uptimeIn(program.pid), 500_000n);
    await room.checkpoint(program, room.path('image'), '--kill');
    const again = await room.restart(room.path('image'), program);
    assert.equal(uptimeIn(again.pid), 500_000n);
    room.go();
    await again.passes();
  });

  test('that stay behind are reported to who may not change them', async () => {
    using room = new Room({ uid });
    await imageOfElsewhere(room, 'spin');
    const result = await room.stasis(['restart', '-d', room.path('image')]);
    assert.equal(result.code, 0, result.stderr);
    room.own(Number(result.stdout));
    assert.match(result.stderr, /CLOCK_MONOTONIC shows less than it did/);
    room.go();
  });
});
