/** Ways in which an image goes wrong, by accident or by an enemy who computes the checksums. */
import { decodeCbor, encodeCbor } from '../cbor.ts';
import { encodePreamble } from '../framing.ts';
import { endTag } from '../kind.ts';
import type { Random } from './random.ts';
import { putTogether, type RawImage, type RawRecord } from './records.ts';

export interface Mutation {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A changed image: with some, the checksums and the tail are right again, so that the code behind them is reached. */
export function mutate(image: RawImage, whole: Uint8Array, random: Random): Mutation {
  const name = random.pick(Object.keys(all) as (keyof typeof all)[]);
  return { name, bytes: all[name](image, random, whole) };
}

type Mutate = (image: RawImage, random: Random, whole: Uint8Array) => Uint8Array;

const all = {
  truncated: (_, random, whole) => whole.slice(0, random.below(whole.length)),
  'flipped bits': (_, random, whole) => flipped(whole, random),
  'random bytes': (image, random) =>
    joined(random.chance(2) ? image.preamble : new Uint8Array(), random.bytes(random.below(300))),
  'bytes replaced': (_, random, whole) => {
    const bytes = whole.slice();
    bytes.set(random.bytes(Math.min(random.below(64), bytes.length)), random.below(Math.max(1, bytes.length - 64)));
    return bytes;
  },
  'bytes inserted': (_, random, whole) => {
    const at = random.below(whole.length + 1);
    return joined(whole.subarray(0, at), random.bytes(1 + random.below(16)), whole.subarray(at));
  },
  'bytes removed': (_, random, whole) => {
    const at = random.below(whole.length);
    return joined(whole.subarray(0, at), whole.subarray(at + 1 + random.below(16)));
  },
  'other revision': (image, random) => putTogether({ ...image, preamble: encodePreamble(random.length()) }),
  'record duplicated': (image, random) => {
    const copy = random.pick(image.records);
    return putTogether(inserted(image, random, copy), tailChance(random));
  },
  'records repeated': (image, random) => {
    const from = random.below(image.records.length);
    const part = image.records.slice(from, from + 1 + random.below(4));
    return putTogether(inserted(image, random, ...Array.from({ length: 1 + random.below(40) }, () => part).flat()));
  },
  'record removed': (image, random) => {
    const at = random.below(image.records.length);
    return putTogether({ ...image, records: image.records.toSpliced(at, 1) }, tailChance(random));
  },
  'records swapped': (image, random) => {
    const records = [...image.records];
    const [a, b] = [random.below(records.length), random.below(records.length)];
    const [first, second] = [recordAt(image, a), recordAt(image, b)];
    records[a] = second;
    records[b] = first;
    return putTogether({ ...image, records }, tailChance(random));
  },
  'record moved': (image, random) => {
    const at = random.below(image.records.length);
    return putTogether(
      inserted({ ...image, records: image.records.toSpliced(at, 1) }, random, recordAt(image, at)),
      tailChance(random),
    );
  },
  'opened without end': (image, random) => {
    const open = image.records.filter((record) => record.flags % 2 === 1);
    const copies = Array.from({ length: 1 + random.below(20) }, () => random.pick(open));
    return putTogether(inserted(image, random, ...copies));
  },
  'ended too often': (image, random) => putTogether(inserted(image, random, { ...emptyRecord, tag: endTag })),
  'unknown record': (image, random) => putTogether(inserted(image, random, ...unknownRecords(random))),
  'header changed': (image, random) => changed(image, random, (record) => ({ ...record, ...headerChange(record, random) })),
  'length changed': (image, random) =>
    changed(image, random, (record) => ({
      ...record,
      header: random.chance(2) ? { payloadLength: random.length() } : { dataLength: random.length(), dataCrc: random.below(2) },
    })),
  'payload flipped': (image, random) =>
    changed(image, random, (record) => ({ ...record, payload: flipped(record.payload, random) })),
  'payload replaced': (image, random) =>
    changed(image, random, (record) => ({
      ...record,
      payload: random.chance(2) ? random.bytes(random.below(64)) : random.pick(image.records).payload,
    })),
  'payload nested deep': (image, random) => changed(image, random, (record) => ({ ...record, payload: nestedPayload(random) })),
  'payload cut': (image, random) =>
    changed(image, random, (record) => ({
      ...record,
      payload: record.payload.slice(0, random.below(record.payload.length + 1)),
    })),
  'value changed': (image, random) =>
    changed(image, random, (record) => {
      if (record.payload.length === 0) return record;
      return { ...record, payload: encodeCbor(changedValue(decodeCbor(record.payload), random, 0)) };
    }),
  'data changed': (image, random) =>
    changed(image, random, (record) => ({ ...record, data: random.bytes(random.pick([0, 1, 4096, 5000])) })),
} satisfies Record<string, Mutate>;

export const mutationNames: readonly string[] = Object.keys(all);

const emptyRecord: RawRecord = { tag: 0, flags: 0, objref: 0, payload: new Uint8Array(), data: new Uint8Array() };

function recordAt(image: RawImage, at: number): RawRecord {
  return image.records[at] ?? emptyRecord;
}

function tailChance(random: Random): { tail: boolean } {
  return { tail: !random.chance(4) };
}

function inserted(image: RawImage, random: Random, ...records: readonly RawRecord[]): RawImage {
  return { ...image, records: image.records.toSpliced(random.below(image.records.length + 1), 0, ...records) };
}

function changed(image: RawImage, random: Random, change: (record: RawRecord) => RawRecord): Uint8Array {
  const at = random.below(image.records.length);
  return putTogether({ ...image, records: image.records.with(at, change(recordAt(image, at))) }, tailChance(random));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Begins of CBOR items within each other: arrays, maps, some that promise too much, are of no length, or a tag. */
function nestedPayload(random: Random): Uint8Array {
  const depth = random.pick([1, 15, 16, 17, 100, 100_000]);
  const begin = random.pick([[0x81], [0xa1, 0x61, 0x61], [0x9b, 0, 0, 0, 1, 0, 0, 0, 0], [0xbf], [0xc1], [0x5f]]);
  return Uint8Array.from({ length: depth * begin.length }, (_, index) => begin[index % begin.length] ?? 0);
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  for (let left = 1 + random.below(3); left > 0 && copy.length > 0; left--) {
    const at = random.below(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  }
  return copy;
}

function headerChange(record: RawRecord, random: Random): Partial<RawRecord> {
  const changes: readonly Partial<RawRecord>[] = [
    { tag: random.below(0x100) },
    { tag: random.pick([0, 1, 2, 3, 15, 16, 0xfffe, 0xffff]) },
    { flags: random.below(4) },
    { flags: random.below(0x1_0000) },
    { objref: random.below(10) },
    { objref: random.length() },
    { data: random.bytes(16), flags: record.flags | 2 },
  ];
  return random.pick(changes);
}

/** Some that a newer writer could have left, and some that nobody could. */
function unknownRecords(random: Random): readonly RawRecord[] {
  const payload = random.chance(4) ? random.bytes(8) : encodeCbor(randomValue(random, 0));
  const record = { ...emptyRecord, tag: 0x1000 + random.below(16), flags: random.below(4), payload, objref: random.below(20) };
  if (random.chance(3)) return [{ ...record, data: random.bytes(random.below(5000)) }];
  return record.flags % 2 === 0
    ? [record]
    : [record, { ...record, flags: random.below(2) * 2, objref: 0 }, { ...emptyRecord, tag: endTag }];
}

/** A value of which one place deep inside is another, missing, or new. */
function changedValue(value: unknown, random: Random, depth: number): unknown {
  if (value instanceof Map && value.size > 0 && !random.chance(6)) {
    const map = new Map<unknown, unknown>(value);
    const key = random.pick([...map.keys()]);
    const change = random.below(8);
    if (change === 0) map.delete(key);
    else if (change === 1) map.set(random.pick(['', 'new', '__proto__', 'constructor']), randomValue(random, depth));
    else map.set(key, changedValue(map.get(key), random, depth + 1));
    return map;
  }
  if (Array.isArray(value) && value.length > 0 && !random.chance(6)) {
    const at = random.below(value.length);
    if (random.chance(8)) return value.toSpliced(at, 1);
    if (random.chance(8)) return [...value, ...(value as unknown[])];
    return value.with(at, changedValue(value[at], random, depth + 1));
  }
  return randomValue(random, depth);
}

function randomValue(random: Random, depth: number): unknown {
  const scalars = [
    () => random.length(),
    () => -random.length(),
    () => random.pick([2n ** 53n, 2n ** 64n - 1n, -(2n ** 63n), -(2n ** 64n)]),
    () => random.chance(2),
    () => random.bytes(random.pick([0, 1, 32, 5000])),
    () => random.pick(['', 'x', '\u001b[2J', '\u202e', '\ufeff', 'ä'.repeat(300), '\ud83d\ude00', '__proto__']),
  ];
  if (depth > 20 || !random.chance(3)) return random.pick(scalars)();
  const length = random.below(4);
  if (random.chance(2)) return Array.from({ length }, () => randomValue(random, depth + 1));
  return new Map(Array.from({ length }, (_, index) => [`${random.pick(['a', 'b'])}${index}`, randomValue(random, depth + 1)]));
}
