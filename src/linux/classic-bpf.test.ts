import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as holds, property, uint8Array } from 'fast-check';
import { sock_filter } from './abi/seccomp.ts';
import { allows, notifies } from './classic-bpf.ts';
import { filterProgram, NR_checkpoint } from './seccomp.ts';

type Instruction = readonly [code: number, jt: number, jf: number, k: number];
const assemble = (...instructions: readonly Instruction[]): Uint8Array =>
  Buffer.concat(instructions.map(([code, jt, jf, k]) => sock_filter.make({ code, jt, jf, k })));

const AUDIT_ARCH_X86_64 = 0xc000003e;
const call = (nr: number, ...parameters: bigint[]) => ({ nr, arch: AUDIT_ARCH_X86_64, instructionPointer: 0x7000n, parameters });
const ALLOW = 0x7fff0000;
const KILL = 0x80000000;

test('our own filter allows everything but its two calls', () => {
  const program = filterProgram(0n).subarray(16);
  assert.equal(allows(program, call(1)), true);
  assert.equal(allows(program, call(NR_checkpoint)), false);
  assert.equal(notifies(program), true);
});

test('numbers, architecture and parameters are compared', () => {
  const program = assemble(
    [0x20, 0, 0, 4], [0x15, 1, 0, AUDIT_ARCH_X86_64], [0x06, 0, 0, KILL],
    [0x20, 0, 0, 0], [0x15, 0, 3, 11],
    [0x20, 0, 0, 24], [0x35, 0, 1, 100], [0x06, 0, 0, KILL], // munmap of less than 100 bytes only
    [0x06, 0, 0, ALLOW],
  ); // prettier-ignore
  assert.equal(allows(program, call(11, 0n, 99n)), true);
  assert.equal(allows(program, call(11, 0n, 100n)), false);
  assert.equal(allows(program, call(12, 0n, 100n)), true);
  assert.equal(allows(program, { ...call(12), arch: 0x40000003 }), false);
  assert.equal(notifies(program), false);
});

test('arithmetic is that of 32 unsigned bits', () => {
  const returns = (...code: Instruction[]) => allows(assemble(...code, [0x16, 0, 0, 0]), call(0));
  assert.equal(returns([0x00, 0, 0, 0x7ffeffff], [0x04, 0, 0, 1]), true);
  assert.equal(returns([0x00, 0, 0, 1], [0x14, 0, 0, 2], [0x74, 0, 0, 1], [0x54, 0, 0, ALLOW]), true);
  assert.equal(returns([0x00, 0, 0, 0x7fff], [0x64, 0, 0, 16]), true);
  assert.equal(returns([0x00, 0, 0, ALLOW], [0x02, 0, 0, 3], [0x00, 0, 0, 0], [0x60, 0, 0, 3]), true);
});

test('any bytes are answered', () => {
  holds(property(uint8Array({ maxLength: 256 }), (bytes) => typeof allows(bytes, call(1)) === 'boolean'));
});
