/** Compares every struct table, and the tables of errnos and signals, with what the C compiler makes of the headers. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../../../test/needs.ts';
import { errno } from '../errno.ts';
import { signals } from '../signals.ts';
import { fieldSize, type Field, type Fields, type StructTable } from '../structs.ts';
import { structTables } from './index.ts';

const hasCompiler = spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0;
const noCompiler = hasCompiler ? false : 'no C compiler (cc)';

let directory = '';
before(() => {
  directory = mkdtempSync(join(tmpdir(), 'stasis-abi-'));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** A C program that prints `type size` and, for each field, `type.field offset size`. */
function layoutProgram(header: string, tables: readonly StructTable<Fields>[]): string {
  const lines = ['#include <stddef.h>', '#include <stdio.h>', '#include <linux/types.h>', `#include <${header}>`];
  for (const { recent } of tables) {
    if (recent !== undefined) lines.push(`#ifndef ${recent.macro}`, recent.declaration, '#endif');
  }
  lines.push('int main(void) {');
  for (const { type, fields } of tables) {
    lines.push(`printf("${type} %zu\\n", sizeof(${type}));`);
    for (const name of Object.keys(fields)) {
      lines.push(`printf("${type}.${name} %zu %zu\\n", offsetof(${type}, ${name}), sizeof(((${type} *)0)->${name}));`);
    }
  }
  return [...lines, 'return 0;', '}', ''].join('\n');
}

function runC(name: string, program: string, ...flags: string[]): string {
  const [source, binary] = [join(directory, `${name}.c`), join(directory, name)];
  writeFileSync(source, program);
  execFileSync('cc', ['-std=gnu11', ...flags, '-o', binary, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  return execFileSync(binary, { encoding: 'utf8' });
}

function expectedLayout(tables: readonly StructTable<Fields>[]): string {
  return tables
    .flatMap(({ type, size, fields }) => [
      `${type} ${size}`,
      ...Object.entries<Field>(fields).map(([name, field]) => `${type}.${name} ${field[1]} ${fieldSize(field)}`),
    ])
    .map((line) => `${line}\n`)
    .join('');
}

describe('struct tables', () => {
  for (const header of new Set(structTables.filter(({ bits }) => bits === undefined).map((table) => table.header))) {
    const tables = structTables.filter((table) => table.header === header && table.bits === undefined);
    const here = tables.filter(({ arch }) => arch === undefined || arch === process.arch);
    const skip = noCompiler || (here.length === 0 && `${header}: other architecture`);
    test(`${header}: ${here.map(({ type }) => type).join(', ')}`, { skip }, () => {
      assert.equal(runC(header.replaceAll(/\W/g, '-'), layoutProgram(header, here)), expectedLayout(here));
    });
  }

  test('of 32-bit programs', { skip: noCompiler || lacks('gcc-multilib') }, () => {
    const compat = structTables.filter(({ bits }) => bits === 32);
    for (const header of new Set(compat.map((table) => table.header))) {
      const tables = compat.filter((table) => table.header === header);
      assert.equal(runC(`m32-${header.replaceAll(/\W/g, '-')}`, layoutProgram(header, tables), '-m32'), expectedLayout(tables));
    }
  });

  test('no field reaches beyond its struct', () => {
    for (const { type, size, fields } of structTables) {
      for (const [name, field] of Object.entries<Field>(fields)) {
        assert.ok(field[1] + fieldSize(field) <= size, `${type}.${name}`);
      }
    }
  });
});

function numberMacros(header: string): Record<string, number> {
  const macros = execFileSync('cc', ['-dM', '-E', '-include', header, '-x', 'c', '/dev/null'], { encoding: 'utf8' });
  const pairs = macros.matchAll(/^#define (\w+) (\d+)$/gm);
  return Object.fromEntries([...pairs].map(([, name = '', value]) => [name, Number(value)]));
}

test('errnos are those of asm/errno.h', { skip: noCompiler }, () => {
  const macros = Object.entries(numberMacros('asm/errno.h')).filter(([name]) => /^E[0-9A-Z]+$/.test(name));
  assert.deepEqual({ ...errno }, Object.fromEntries(macros));
});

test('signals are those of asm/signal.h', { skip: noCompiler }, () => {
  const macros = numberMacros('asm/signal.h');
  for (const [name, number] of Object.entries(signals)) assert.equal(macros[name], number, name);
});
