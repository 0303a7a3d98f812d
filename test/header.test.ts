/** include/stasis.h in every dialect, together with the headers that programs include beside it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { include } from './build.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';

const asm32 = '#include <asm/unistd_32.h>';
const numbers = '#include <sys/syscall.h>';
const ours = '#include <stasis.h>';
const orders = [
  [ours],
  [asm32, ours],
  [ours, asm32],
  [numbers, ours],
  [ours, numbers],
  [asm32, numbers, ours],
  [numbers, ours, asm32],
];
const body =
  'int main(void) { return __NR_checkpoint == 17234 && __NR_restart == 17235 && checkpoint(0, 1, 0) == -1 && restart(0, 0, 0) == -1 ? 0 : 1; }\n';
const dialects = [
  ['cc', '-std=c89', '-pedantic'],
  ['cc', '-ansi'],
  ['cc', '-std=c99', '-pedantic'],
  ['cc', '-std=gnu17', '-D_GNU_SOURCE'],
  ['c++', '-x', 'c++', '-std=c++98', '-pedantic'],
  ['c++', '-x', 'c++', '-std=c++20'],
];

suite('stasis.h', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const [compiler = '', ...flags] of dialects) {
    const absent = spawnSync(compiler, ['--version']).status !== 0;
    test([compiler, ...flags].join(' '), { skip: absent && `needs ${compiler} (the Debian package g++)` }, () => {
      using room = new Room();
      for (const order of orders) compiles(room, compiler, flags, order);
    });
  }

  test('for 32 bits', () => {
    using room = new Room();
    // Without libc6-dev-i386 only this generated file is missing; the headers themselves are the same.
    fs.mkdirSync(room.path('gnu'));
    fs.writeFileSync(room.path('gnu/stubs-32.h'), '');
    const triplet = spawnSync('cc', ['-print-multiarch'], { encoding: 'utf8' }).stdout.trim();
    for (const order of orders) {
      compiles(room, 'cc', ['-m32', '-std=c89', '-I', room.directory, '-idirafter', `/usr/include/${triplet}`], order);
    }
  });

  test('keeps numbers that are defined already, and leaves out the wrappers on request', () => {
    using room = new Room();
    const source = room.path('given.c');
    fs.writeFileSync(
      source,
      `${ours}\nstatic int restart(void) { return 0; }\nint main(void) { return __NR_checkpoint == 333 ? restart() : 1; }\n`,
    );
    const flags = [
      '-D__NR_checkpoint=333',
      '-DSTASIS_NO_WRAPPERS',
      '-Wall',
      '-Werror',
      `-I${include}`,
      source,
      '-o',
      room.path('given'),
    ];
    const compiled = spawnSync('cc', flags, { encoding: 'utf8' });
    assert.equal(compiled.status, 0, compiled.stderr);
    assert.equal(spawnSync(room.path('given')).status, 0);
  });

  test('without stasis run the two calls say ENOSYS', () => {
    using room = new Room();
    const run = spawnSync(room.program('rfc/rstr', ['-include', `${include}/stasis.h`]), { encoding: 'utf8', input: '' });
    assert.equal(run.stderr, 'restart: Function not implemented\n');
  });
});

function compiles(room: Room, compiler: string, flags: string[], order: string[]): void {
  const source = room.path('header.c');
  fs.writeFileSync(source, `${order.join('\n')}\n${body}`);
  const args = [...flags, '-Wall', '-Wextra', '-Werror', `-I${include}`, '-c', source, '-o', '/dev/null'];
  const { status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${compiler} ${args.join(' ')}\n${order.join('\n')}\n${stderr}`);
}
