import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LocalMemory } from './ffi.ts';
import { ownPages, pageSize } from './pagemap.ts';

// 512 regions fill the kernel's buffer, 4096 ours.
for (const count of [1, 511, 512, 513, 1000, 4095, 4096, 4097, 10_000]) {
  test(`${count} runs of pages`, () => {
    const { address, bytes } = LocalMemory.allocate(2 * count * pageSize);
    for (let run = 0; run < count; run++) bytes[2 * run * pageSize] = 1;
    const first = Number(address) / pageSize;
    const runs = ownPages(process.pid, [{ start: address, end: address + BigInt(bytes.length) }]);
    assert.deepEqual(runs, Array.from({ length: count }, (_, run) => [first + 2 * run, 1]).flat());
  });
}
