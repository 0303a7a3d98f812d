import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { buildId, readBuildId, type ReadAt } from './elf.ts';

const readerOf =
  (bytes: Uint8Array): ReadAt =>
  (offset, length) =>
    bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + length, bytes.length));

const id = '00112233445566778899aabbccddeeff01234567';

/** An ELF file that is nothing but a header, its segments and their notes. */
function elf(bits: 32 | 64, notes: readonly { align: number; bytes: Buffer }[]): Buffer {
  const [headerSize, entrySize] = bits === 64 ? [64, 56] : [52, 32];
  const header = Buffer.alloc(headerSize + entrySize * notes.length);
  header.write('\x7fELF', 'latin1');
  header[4] = bits / 32;
  header[5] = 1;
  if (bits === 64) header.writeBigUInt64LE(64n, 32);
  else header.writeUInt32LE(52, 28);
  header.writeUInt16LE(entrySize, bits === 64 ? 54 : 42);
  header.writeUInt16LE(notes.length, bits === 64 ? 56 : 44);
  let offset = header.length;
  notes.forEach(({ align, bytes }, index) => {
    const at = headerSize + entrySize * index;
    header.writeUInt32LE(4, at);
    if (bits === 64) {
      header.writeBigUInt64LE(BigInt(offset), at + 8);
      header.writeBigUInt64LE(BigInt(bytes.length), at + 32);
      header.writeBigUInt64LE(BigInt(align), at + 48);
    } else {
      header.writeUInt32LE(offset, at + 4);
      header.writeUInt32LE(bytes.length, at + 16);
      header.writeUInt32LE(align, at + 28);
    }
    offset += bytes.length;
  });
  return Buffer.concat([header, ...notes.map(({ bytes }) => bytes)]);
}

function note(name: string, type: number, description: Buffer, align = 4): Buffer {
  const words = Buffer.alloc(12);
  words.writeUInt32LE(name.length, 0);
  words.writeUInt32LE(description.length, 4);
  words.writeUInt32LE(type, 8);
  const padded = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc((align - (bytes.length % align)) % align)]);
  return Buffer.concat([padded(Buffer.concat([words, Buffer.from(name, 'latin1')])), padded(description)]);
}

const idNote = note('GNU\0', 3, Buffer.from(id, 'hex'));

test('finds the note among others, in 64-bit and 32-bit files', () => {
  const property = note('GNU\0', 5, Buffer.alloc(12, 1), 8);
  const others = Buffer.concat([note('GNU\0', 1, Buffer.alloc(16)), note('stapsdt\0', 3, Buffer.alloc(5)), idNote]);
  for (const bits of [32, 64] as const) {
    assert.equal(buildId(readerOf(elf(bits, [{ align: 4, bytes: idNote }]))), id);
    assert.equal(
      buildId(
        readerOf(
          elf(bits, [
            { align: 8, bytes: property },
            { align: 4, bytes: others },
          ]),
        ),
      ),
      id,
    );
    assert.equal(buildId(readerOf(elf(bits, [{ align: 8, bytes: property }]))), undefined);
    assert.equal(buildId(readerOf(elf(bits, []))), undefined);
  }
});

test('damage and other files give undefined', () => {
  const whole = elf(64, [{ align: 4, bytes: idNote }]);
  for (let length = 0; length < whole.length; length++) assert.equal(buildId(readerOf(whole.subarray(0, length))), undefined);
  assert.equal(buildId(readerOf(Buffer.from('#!/bin/sh\n'.padEnd(200)))), undefined);
  const bigEndian = Buffer.from(whole);
  bigEndian[5] = 2;
  assert.equal(buildId(readerOf(bigEndian)), undefined);
  const tooLong = note('GNU\0', 3, Buffer.alloc(65));
  assert.equal(buildId(readerOf(elf(64, [{ align: 4, bytes: tooLong }]))), undefined);
});

test('no byte pattern makes it throw, loop, or ask for much', () => {
  const whole = elf(64, [
    { align: 4, bytes: idNote },
    { align: 8, bytes: idNote },
  ]);
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const mutated = Buffer.from(whole);
    for (let count = 1 + random(4); count > 0; count--)
      mutated[random(mutated.length)] = [0, 0xff, 0x7f, random(256)][random(4)] ?? 0;
    const read = readerOf(mutated);
    buildId((offset, length) => {
      assert.ok(Number.isSafeInteger(offset) && offset >= 0 && length >= 0 && length <= 64 * 1024, `${offset} ${length}`);
      return read(offset, length);
    });
  }
});

test('real files: the same as readelf says', (t) => {
  if (spawnSync('readelf', ['--version'], { stdio: 'ignore' }).status !== 0) return t.skip('no readelf');
  const files = ['/bin/sh', '/bin/cat', '/lib64/ld-linux-x86-64.so.2', '/lib/x86_64-linux-gnu/libc.so.6', process.execPath];
  for (const file of files.filter((path) => existsSync(path))) {
    const notes = execFileSync('readelf', ['-n', file], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    assert.equal(readBuildId(file), /Build ID: ([0-9a-f]+)/.exec(notes)?.[1], file);
  }
});

for (const [name, flags] of Object.entries({ '64-bit': ['-m64'], '32-bit': ['-m32', '-nostdlib', '-static'] })) {
  test(`a ${name} file as the linker makes it`, (t) => {
    const directory = temporary(t);
    const [source, binary] = [join(directory, 'a.c'), join(directory, 'a')];
    writeFileSync(source, name === '64-bit' ? 'int main(void) { return 0; }\n' : 'void _start(void) {}\n');
    const compiled = spawnSync('cc', [...flags, `-Wl,--build-id=0x${id}`, '-o', binary, source], { stdio: 'ignore' });
    if (compiled.status !== 0) return t.skip(`no C compiler for ${name} programs`);
    assert.equal(readFileSync(binary)[4], name === '64-bit' ? 2 : 1);
    assert.equal(readBuildId(binary), id);
  });
}

function temporary(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'stasis-elf-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
