/** The numbers of system calls are those of the kernel's headers. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { lacks } from '../../test/needs.ts';
import { i386Numbers } from './syscalls-i386.ts';
import { x86_64Numbers } from './syscalls.ts';

const folder = '/usr/include/x86_64-linux-gnu/asm';

for (const [header, numbers] of [
  ['unistd_64.h', x86_64Numbers],
  ['unistd_32.h', i386Numbers],
] as const) {
  test(`numbers are those of asm/${header}`, { skip: process.arch === 'x64' ? lacks('libc6-dev') : 'x86-64 only' }, () => {
    const text = readFileSync(`${folder}/${header}`, 'utf8');
    const defined = new Map([...text.matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map(([, name, value]) => [name, Number(value)]));
    for (const [name, number] of Object.entries(numbers)) assert.equal(number, defined.get(name), name);
  });
}
