/** Memory that arrives late, against a model: whatever is asked for, moved, discarded and inherited, every page is right at the end. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { LateSpace } from './late-space.ts';
import { segmentsOf, type LateRecord } from './lazy-memory.ts';
import type { UserFaults } from './linux/userfaultfd.ts';

const pageSize = 4096n;
const EEXIST = -17;
const EAGAIN = -11;

/** An address space as the kernel keeps it: what has arrived. Sources are addresses that tell what would be copied from there. */
class FakeMemory {
  readonly fd = 0;
  readonly pages = new Map<number, number>();
  /** How often the kernel says that an event is to be read first. */
  busy = 0;

  copy(to: bigint, from: bigint, length: number): number {
    if (this.busy > 0) return (this.busy--, EAGAIN);
    const [first, source] = [Number(to / pageSize), Number(from / pageSize)];
    let done = 0;
    for (; done < length / 4096; done++) {
      if (this.pages.has(first + done)) return done > 0 ? done * 4096 : EEXIST;
      this.pages.set(first + done, source + done);
    }
    return length;
  }

  zero(address: bigint): number {
    const page = Number(address / pageSize);
    if (this.pages.has(page)) return EEXIST;
    this.pages.set(page, 0);
    return 0;
  }

  wake(): void {}
}

const memoryOf = (fake: FakeMemory): UserFaults => fake as unknown as UserFaults;

/** Two records with gaps between and within their runs; content of page p of record r lies at page 1000 * r + p. */
const records: LateRecord[] = [
  { runs: [10, 30, 50, 5], offset: 0, length: 0, crc: 0 },
  { runs: [100, 200, 400, 1], offset: 0, length: 0, crc: 0 },
];
const content = (record: LateRecord): bigint => BigInt(1000 * (records.indexOf(record) + 1)) * pageSize;

/** What each page must be at the end: the page of its content, or 0 for one that is zero; absent for what is unmapped. */
function initialModel(): Map<number, number> {
  const model = new Map<number, number>();
  for (const [index, { runs }] of records.entries()) {
    let at = 1000 * (index + 1);
    for (let run = 0; run < runs.length; run += 2)
      for (let page = 0; page < runs[run + 1]!; page++) model.set(runs[run]! + page, at++);
  }
  return model;
}

const page = fc.integer({ min: 0, max: 450 });
const step = fc.oneof(
  fc.record({ kind: fc.constant('serve' as const), page }),
  fc.record({ kind: fc.constant('advance' as const) }),
  fc.record({ kind: fc.constant('busy' as const) }),
  fc.record({ kind: fc.constant('discard' as const), page, count: fc.integer({ min: 1, max: 60 }) }),
  fc.record({
    kind: fc.constant('move' as const),
    page,
    count: fc.integer({ min: 1, max: 60 }),
    to: fc.integer({ min: 600, max: 900 }),
  }),
  fc.record({ kind: fc.constant('fork' as const) }),
);

test('every page is the right one at the end, in children too', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const all = [{ fake: new FakeMemory(), model: initialModel(), space: undefined as unknown as LateSpace }];
      all[0]!.space = new LateSpace(memoryOf(all[0]!.fake), segmentsOf(records));
      for (const each of steps) {
        const { fake, model, space } = all[0]!;
        switch (each.kind) {
          case 'serve':
            space.serve(BigInt(each.page) * pageSize + 17n, content);
            break;
          case 'advance':
            space.advance(content);
            break;
          case 'busy':
            fake.busy++;
            break;
          case 'discard':
            for (let at = each.page; at < each.page + each.count; at++) {
              fake.pages.delete(at);
              model.set(at, 0);
            }
            space.forget(BigInt(each.page) * pageSize, BigInt(each.page + each.count) * pageSize);
            break;
          case 'move': {
            const lifted = Array.from({ length: each.count }, (_, index) => {
              const at = each.page + index;
              const found = [fake.pages.get(at), model.get(at)] as const;
              fake.pages.delete(at);
              model.delete(at);
              return found;
            });
            for (const [index, [present, expected]] of lifted.entries()) {
              const at = each.to + index;
              fake.pages.delete(at);
              model.delete(at);
              if (present !== undefined) fake.pages.set(at, present);
              if (expected !== undefined) model.set(at, expected);
            }
            space.move(BigInt(each.page) * pageSize, BigInt(each.to) * pageSize, BigInt(each.count) * pageSize);
            break;
          }
          case 'fork': {
            const child = new FakeMemory();
            for (const [at, value] of fake.pages) child.pages.set(at, value);
            all.push({ fake: child, model: new Map(model), space: space.inherit(memoryOf(child)) });
            break;
          }
        }
      }
      for (const { fake, model, space } of all) {
        for (let round = 0; !space.isDone; round++) {
          assert.ok(round < 10_000, 'it ends');
          space.advance(content);
        }
        for (const [at, expected] of model) assert.equal(fake.pages.get(at) ?? 0, expected, `page ${at}`);
      }
    }),
  );
});
