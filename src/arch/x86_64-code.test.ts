/** The bytes of x86_64-code.ts are what the assembler makes of asm/x86_64.S. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { lacks } from '../../test/needs.ts';
import { x86_64Code } from './x86_64-code.ts';

const source = fileURLToPath(new URL('asm/x86_64.S', import.meta.url));
const skip = process.arch === 'x64' ? lacks('gcc') : 'the assembler of this machine makes no x86-64 code';
const sections = ['heal', 'batch', 'spawn', 'cpuid'] as const;

describe('machine code of x86-64', { skip }, () => {
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
      assert.equal(Buffer.from(x86_64Code[section]).toString('hex'), readFileSync(file, 'hex'));
    });
  }

  test('nothing is left to a linker', { skip }, () => {
    assert.doesNotMatch(execFileSync('/usr/bin/objdump', ['--reloc', object()], { encoding: 'utf8' }), /R_X86_64_/);
  });

  test('every section is tested', { skip }, () => {
    const listing = execFileSync('/usr/bin/objdump', ['--section-headers', object()], { encoding: 'utf8' });
    const code = [...listing.matchAll(/^ +\d+ (\S+) .*\n.*\bCODE\b/gm)].map((match) => match[1]);
    // .text is there in every object file; it is empty.
    assert.deepEqual(new Set(code), new Set(['.text', ...sections]));
    assert.deepEqual(new Set(Object.keys(x86_64Code)), new Set(['healDataOffset', ...sections]));
  });

  test('healDataOffset is the place of the first datum', { skip }, () => {
    const symbols = execFileSync('/usr/bin/nm', [object()], { encoding: 'utf8' });
    const scratch = /^([0-9a-f]+) . scratch$/m.exec(symbols)?.[1] ?? '';
    assert.equal(x86_64Code.healDataOffset, parseInt(scratch, 16));
  });
});
