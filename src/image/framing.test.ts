import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import * as fc from 'fast-check';
import { ImageError } from '../errors.ts';
import { decodeHeader, decodePreamble, defaultLimits, encodeHeader, encodePreamble, headerSize, paddingAt } from './framing.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const headers = fc.record({
  tag: fc.integer({ min: 0, max: 0xffff }),
  flags: fc.integer({ min: 0, max: 3 }),
  objref: fc.nat(defaultLimits.objref),
  payloadLength: fc.nat(defaultLimits.payload),
  dataLength: fc.integer({ min: 1, max: defaultLimits.data }),
  payloadCrc: u32,
  dataCrc: u32,
});

test('a header comes back, wherever it stands', () => {
  fc.assert(
    fc.property(headers, fc.nat(64), (header, at) => {
      const bytes = new Uint8Array(at + headerSize);
      encodeHeader(bytes, at, header);
      assert.deepEqual(decodeHeader(bytes.subarray(at), 0, defaultLimits), { ...header });
    }),
  );
});

test('the bytes of a header are those of docs/format.md', () => {
  const bytes = new Uint8Array(headerSize);
  const header = { tag: 0x0102, flags: 3, objref: 5, payloadLength: 6, dataLength: 7, payloadCrc: 0xaabbccdd, dataCrc: 1 };
  encodeHeader(bytes, 0, header);
  const expected = '02010300 05000000 06000000 07000000 ddccbbaa 01000000 00000000'.replaceAll(' ', '');
  assert.equal(Buffer.from(bytes.subarray(0, 28)).toString('hex'), expected);
  assert.equal(new DataView(bytes.buffer).getUint32(28, true), crc32(bytes.subarray(0, 28)));
});

test('every flipped bit of a header is noticed', () => {
  const bytes = new Uint8Array(headerSize);
  encodeHeader(bytes, 0, { tag: 16, flags: 0, objref: 0, payloadLength: 1, dataLength: 0, payloadCrc: 9, dataCrc: 0 });
  for (let bit = 0; bit < headerSize * 8; bit++) {
    const damaged = bytes.slice();
    damaged[bit >> 3]! ^= 1 << (bit & 7);
    assert.throws(() => decodeHeader(damaged, 77, defaultLimits), { name: 'ImageError', offset: 77, message: /checksum/ });
  }
});

test('limits and reserved bits', () => {
  const plain = { tag: 16, flags: 0, objref: 0, payloadLength: 0, dataLength: 0, payloadCrc: 0, dataCrc: 0 };
  const cases = [
    [{ flags: 4 }, /unknown flags 0x4/],
    [{ payloadLength: (16 << 20) + 1 }, /payload/],
    [{ dataLength: (4 << 20) + 1 }, /data/],
    [{ objref: (1 << 20) + 1 }, /objref/],
    [{ dataCrc: 1 }, /without data/],
  ] as const;
  for (const [change, reason] of cases) {
    const bytes = new Uint8Array(headerSize);
    encodeHeader(bytes, 0, { ...plain, ...change });
    assert.throws(() => decodeHeader(bytes, 0, defaultLimits), reason);
  }
});

test('preamble: current revision, newer, damaged, something else', () => {
  assert.equal(decodePreamble(encodePreamble()), 1);
  assert.equal(Buffer.from(encodePreamble()).toString('hex', 0, 12), '895354415349530a01000000');
  assert.throws(() => decodePreamble(encodePreamble(2)), /revision 2, this Stasis reads up to 1/);
  assert.throws(() => decodePreamble(encodePreamble(0)), /revision 0/);
  const damaged = encodePreamble();
  damaged[9] = 1;
  assert.throws(() => decodePreamble(damaged), /damaged/);
  assert.throws(() => decodePreamble(new Uint8Array(16)), ImageError);
});

test('padding ends at a multiple of 4096', () => {
  assert.deepEqual([0, 1, 4095, 4096, 4097].map(paddingAt), [0, 4095, 1, 0, 4095]);
});
