import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeDescriptors, encodeDescriptor } from './segments.ts';

/** As fill_ldt makes them (arch/x86/include/asm/desc.h), with what modify_ldt was given. */
const made = [
  { entry: 0, raw: 0x00cff3000000ffffn, base: 0, limit: 0xfffff, flags: 0b0010001 },
  { entry: 3, raw: 0x7854f33412560007n & 0xffff_ffff_ffff_ffffn, base: 0x78341256, limit: 0x40007, flags: 0b1000001 },
  { entry: 4, raw: 0x0000710000001234n, base: 0, limit: 0x1234, flags: 0b0101000 },
];

test('descriptors are read as the kernel makes them', () => {
  const table = new DataView(new ArrayBuffer(64));
  for (const { entry, raw } of made) table.setBigUint64(entry * 8, raw, true);
  assert.deepEqual(
    decodeDescriptors(table),
    made.map(({ entry, base, limit, flags }) => ({ entry, base, limit, flags })),
  );
});

test('and are handed to it as struct user_desc', () => {
  const bytes = encodeDescriptor({ entry: 3, base: 0x78341256, limit: 0x40007, flags: 0b1000001 });
  assert.deepEqual([...new Uint32Array(bytes.buffer)], [3, 0x78341256, 0x40007, 0b1000001]);
});
