/** Laws of schemas of any form, on values that nobody thought of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as check, nat, property, uint8Array } from 'fast-check';
import { ImageError } from '../errors.ts';
import { decodeCbor, encodeCbor } from './cbor.ts';
import { toJson } from './json.ts';
import { readingPath, writingPath } from './path.ts';
import { cborValue, schemaSamples } from './testing/arbitraries.ts';
import { eventsOf, sampleImage } from './testing/fixture.ts';
import { putTogether, takeApart } from './testing/records.ts';

test('schemas: decode(encode(value)) equals value, through CBOR', () => {
  check(
    property(schemaSamples(), ({ schema, value }) => {
      const bytes = encodeCbor(schema.encode(value, writingPath('test')));
      assert.deepEqual(schema.decode(decodeCbor(bytes), readingPath('test', 0)), value);
    }),
    { numRuns: 1000 },
  );
});

test('schemas: any value decodes, and encodes again to the same, or is an ImageError with a field path', () => {
  check(
    property(schemaSamples(), cborValue(), ({ schema }, value) => {
      let decoded: unknown;
      try {
        decoded = schema.decode(value, readingPath('test', 7));
      } catch (error) {
        assert.ok(error instanceof ImageError);
        assert.equal(error.offset, 7);
        assert.match(error.path, /^test/);
        return;
      }
      assert.deepEqual(schema.decode(schema.encode(decoded, writingPath('test')), readingPath('test', 7)), decoded);
      JSON.stringify(toJson(schema.shape, decoded));
    }),
    { numRuns: 1000 },
  );
});

test('what the CBOR library throws stays inside: random payloads give an ImageError', () => {
  const apart = takeApart(sampleImage());
  check(
    property(uint8Array({ maxLength: 200 }), nat(apart.records.length - 1), (payload, at) => {
      const records = apart.records.map((record, index) => (index === at ? { ...record, payload } : record));
      assertImageError(() => eventsOf(putTogether({ ...apart, records })));
    }),
    { numRuns: 1000 },
  );
});

/** It may also succeed: some payload can be right. */
function assertImageError(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof ImageError, String(error));
  }
}
