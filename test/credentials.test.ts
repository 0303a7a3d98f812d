/** A restart gives a program its identity back, and never more than its image says nor than whoever restarts it has. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { decodeCbor, encodeCbor } from '../src/image/cbor.ts';
import { putTogether, takeApart } from '../src/image/testing/records.ts';
import { parseStatus, type Status } from '../src/linux/proc/status.ts';
import { credentials } from '../src/objects/credentials.ts';
import { begin, failed } from './expectations.ts';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { ordinaryUser } from './processes.ts';
import type { Program } from './program.ts';

const { uid = 0, skip } = ordinaryUser(checkout);
const all = (1n << 41n) - 1n;
const statusOf = (pid: number): Status => parseStatus(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
const ids = (id: number) => ({ real: id, effective: id, saved: id, filesystem: id });

/** The image with other credentials in it, everything else and all checksums right. */
function edited(image: string, change: Record<string, unknown>): void {
  const apart = takeApart(fs.readFileSync(image));
  const records = apart.records.map((record) => {
    if (record.tag !== credentials.record.tag) return record;
    const fields = decodeCbor(record.payload) as Map<string, unknown>;
    const capabilities = new Map(fields.get('capabilities') as Map<string, unknown>);
    for (const [name, value] of Object.entries(change)) {
      if (capabilities.has(name)) capabilities.set(name, value);
      else fields.set(name, value);
    }
    fields.set('capabilities', capabilities);
    return { ...record, payload: encodeCbor(fields) };
  });
  fs.writeFileSync(image, putTogether({ ...apart, records }));
}

/** An image of `spin`, which an ordinary user started, in a room of that user; the program is dead. */
async function image(room: Room): Promise<Program> {
  const program = await begin(room, 'spin');
  await room.checkpoint(program, room.path('image'), '--kill');
  await program.gone();
  return program;
}

suite('credentials', { skip: lacks('gcc', 'libc6-dev') || skip }, () => {
  test('root gives back the identity of a user, and nothing of its own', async () => {
    using room = new Room({ uid });
    const program = await image(room);
    using root = new Room();
    const again = await root.restart(room.path('image'), program);
    const status = statusOf(again.pid);
    assert.deepEqual([status.uid, status.gid, status.groups], [ids(uid), ids(uid), []]);
    assert.deepEqual([status.capPrm, status.capEff, status.capInh, status.capAmb], [0n, 0n, 0n, 0n]);
    room.go();
    await again.passes();
  });

  test('an image that claims to be root is an ordinary program for an ordinary user', async () => {
    using room = new Room({ uid });
    await image(room);
    const everything = { permitted: all, effective: all, inheritable: all, ambient: all, bounding: all, secureBits: 0x2f };
    edited(room.path('image'), { uid: [0, 0, 0, 0], gid: [0, 0, 0, 0], groups: [0], ...everything });
    const result = await room.stasis(['restart', '-d', room.path('image')]);
    assert.equal(result.code, 0, result.stderr);
    assert.match(result.stderr, /was user 0.*goes on as user/);
    assert.match(result.stderr, /capabilities that its restart lacks/);
    const status = statusOf(room.own(Number(result.stdout)).pid);
    assert.deepEqual([status.uid, status.gid], [ids(uid), ids(uid)]);
    assert.deepEqual([status.capPrm, status.capEff, status.capInh, status.capAmb], [0n, 0n, 0n, 0n]);
    room.go();
  });

  for (const [what, change] of Object.entries({
    'ids that leave the ids of root as they are': { uid: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff] },
    'too few ids': { uid: [uid] },
    'no ids': { gid: [] },
  })) {
    test(`${what} are no image`, async () => {
      using room = new Room({ uid });
      await image(room);
      using root = new Room();
      edited(room.path('image'), change);
      failed(await root.stasis(['restart', '-d', room.path('image')]), 12, /credentials/);
    });
  }

  test('a program file that became set-user-ID in between lends nothing', async () => {
    using room = new Room({ uid });
    const program = await image(room);
    const other = uid + 1;
    fs.chownSync(room.path('spin'), other, other);
    fs.chmodSync(room.path('spin'), 0o6755);
    using root = new Room();
    const again = await root.restart(room.path('image'), program);
    const status = statusOf(again.pid);
    assert.deepEqual([status.uid, status.gid, status.capPrm], [ids(uid), ids(uid), 0n]);
    room.go();
    await again.passes();
  });

  test('fewer capabilities than the image says, to the last one', async () => {
    using room = new Room();
    const program = await image(room);
    const CAP_KILL = 1n << 5n;
    edited(room.path('image'), { permitted: CAP_KILL, effective: 0n, inheritable: 0n, ambient: 0n, bounding: CAP_KILL });
    const again = await room.restart(room.path('image'), program);
    const status = statusOf(again.pid);
    assert.deepEqual([status.capPrm, status.capEff, status.capBnd, status.uid], [CAP_KILL, 0n, CAP_KILL, ids(0)]);
    room.go();
    await again.passes();
  });
});
