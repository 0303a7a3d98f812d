/** The bytes of x86_64-code.ts and i386-code.ts are what the assembler makes of asm/. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lacks } from '../../test/needs.ts';
import type { Code } from './architecture.ts';
import { call32Code, i386Code } from './i386-code.ts';
import { x86_64Code } from './x86_64-code.ts';

const skip = process.arch === 'x64' ? lacks('gcc') : 'the assembler of this machine makes no x86-64 code';
interface Blob {
  readonly name: string;
  readonly code: Omit<Code, 'follow'> & Readonly<Record<string, Uint8Array | number>>;
  readonly sections: readonly string[];
}

const { follow: _, ...i386Pieces } = i386Code;
const blobs: readonly Blob[] = [
  {
    name: 'x86_64',
    code: { ...x86_64Code, follow: x86_64Code.follow?.code ?? new Uint8Array() },
    sections: ['heal', 'clone', 'follow', 'batch', 'spawn', 'calls', 'cpuid'],
  },
  { name: 'i386', code: { ...i386Pieces, call32: call32Code }, sections: ['heal', 'batch', 'call32'] },
];

for (const { name, code, sections } of blobs) {
  describe(`machine code for ${name}`, { skip }, () => {
    const source = fileURLToPath(new URL(`asm/${name}.S`, import.meta.url));
    let directory = '';
    const object = (): string => join(directory, 'code.o');
    before(() => {
      directory = mkdtempSync(join(tmpdir(), 'stasis-code-'));
      execFileSync('/usr/bin/gcc', ['-c', '-o', object(), source]);
    });
    after(() => rmSync(directory, { recursive: true, force: true }));

    for (const section of sections) {
      test(`${section} is as assembled`, { skip }, () => {
        const file = join(directory, section);
        execFileSync('/usr/bin/objcopy', ['-O', 'binary', '--only-section', section, object(), file]);
        assert.equal(Buffer.from(code[section] as Uint8Array).toString('hex'), readFileSync(file, 'hex'));
      });
    }

    test('clone ends by a jump to the second instruction of heal', { skip }, () => {
      const at = Buffer.from(code.clone).indexOf(0xe9);
      assert.equal(code.heal.length + at + 5 + Buffer.from(code.clone).readInt32LE(at + 1), 2);
    });

    test('nothing is left to a linker', { skip }, () => {
      assert.doesNotMatch(execFileSync('/usr/bin/objdump', ['--reloc', object()], { encoding: 'utf8' }), /R_X86_64_/);
    });

    test('every section is tested', { skip }, () => {
      const listing = execFileSync('/usr/bin/objdump', ['--section-headers', object()], { encoding: 'utf8' });
      const found = [...listing.matchAll(/^ +\d+ (\S+) .*\n.*\bCODE\b/gm)].map((match) => match[1]);
      // .text is there in every object file; it is empty.
      assert.deepEqual(new Set(found), new Set(['.text', ...sections]));
    });

    test('healDataOffset is the place of the first datum', { skip }, () => {
      const symbols = execFileSync('/usr/bin/nm', [object()], { encoding: 'utf8' });
      const placeOf = (label: string): number =>
        parseInt(new RegExp(`^([0-9a-f]+) . ${label}$`, 'm').exec(symbols)?.[1] ?? '', 16);
      assert.equal(code.healDataOffset, placeOf('busy'));
      if (name === 'x86_64') assert.equal(x86_64Code.follow?.dataOffset, placeOf('f_busy'));
    });
  });
}

test('every piece of machine code is tested', () => {
  const tested = new Set(['healDataOffset', ...blobs.flatMap(({ sections }) => sections)]);
  for (const { code } of blobs) for (const piece of Object.keys(code)) assert.ok(tested.has(piece), piece);
});
