/**
 * 32-bit programs on this 64-bit kernel: the programs of programs.test.ts built with -m32, and what only they have. The
 * RFC's demonstration with them is in rfc.test.ts.
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { comm, mentioning, ordinaryUser, tracerOf } from './processes.ts';
import { type Program, until } from './program.ts';

const skip = lacks('gcc', 'libc6-dev', 'gcc-multilib', 'libc6-dev-i386');
const m32 = ['-m32', '-D_FILE_OFFSET_BITS=64'];
const vectors = [...m32, '-msse2', '-no-pie'];

const cpu = fs.readFileSync('/proc/cpuinfo', 'utf8');
const without = (feature: string): string | false => !new RegExp(`\\b${feature}\\b`).test(cpu) && `needs a CPU with ${feature}`;

const notRoot = process.getuid?.() !== 0 && 'only root may read filters';

interface Subject {
  program: string;
  flags?: string[];
  arguments?: string[];
  skip?: string | false;
}

const subjects: Subject[] = [
  { program: 'spin' },
  { program: 'steps' },
  { program: 'avx32', arguments: ['sse'], flags: vectors },
  { program: 'avx32', arguments: ['avx'], flags: vectors, skip: without('avx') },
  { program: 'avx32', arguments: ['avx512'], flags: vectors, skip: without('avx512f') },
  { program: 'heap' },
  { program: 'stack' },
  { program: 'mappings' },
  { program: 'shared' },
  { program: 'files' },
  { program: 'signals' },
  { program: 'tls' },
  { program: 'identity' },
  { program: 'settings' },
  { program: 'pending' },
  { program: 'handler' },
  { program: 'itimers' },
  { program: 'posix-timers' },
  { program: 'segments' },
  { program: 'pipes' },
  { program: 'events' },
  { program: 'locks' },
  { program: 'terminals' },
  { program: 'filter32', skip: notRoot },
  { program: 'memory', arguments: ['64'] },
  { program: 'threads' },
];
const takesDirectory = new Set(['mappings', 'shared', 'files', 'identity', 'pipes', 'locks']);

async function begin(room: Room, { program, arguments: more = [], flags = m32 }: Subject): Promise<Program> {
  const directory = takesDirectory.has(program) ? [room.directory] : [];
  const started = await room.start([room.program(program, flags), room.path('go'), ...directory, ...more]);
  await started.line(/^ready \d+\n/);
  await sleep(20);
  return started;
}

const user = ordinaryUser(checkout);

suite('32-bit programs', { skip }, () => {
  for (const subject of subjects) {
    const name = [subject.program, ...(subject.arguments ?? [])].join(' ');
    const options = { skip: subject.skip ?? false };

    test(`${name} goes on after a checkpoint, and after kill and restart`, options, async () => {
      using room = new Room();
      const program = await begin(room, subject);
      const before = comm(program.pid);
      await room.checkpoint(program, room.path('image.1'));
      assert.equal(tracerOf(program.pid), 0, 'nobody traces it any more');
      await room.checkpoint(program, room.path('image'), '--kill');
      await program.gone();
      const again = await room.restart(room.path('image'), program);
      assert.equal(comm(again.pid), before, 'comm');
      await sleep(50);
      room.go();
      await again.passes();
    });
  }

  test('tls goes on after kill and restart, as an ordinary user', { skip: user.skip }, async () => {
    using room = new Room({ uid: user.uid });
    const program = await begin(room, { program: 'tls' });
    await room.checkpoint(program, room.path('image'), '--kill');
    await program.gone();
    const again = await room.restart(room.path('image'), program);
    room.go();
    await again.passes();
  });

  for (const [root, child] of [
    ['64', '32'],
    ['32', '64'],
  ] as const) {
    test(`a tree of a ${root}-bit program and its ${child}-bit child`, async () => {
      using room = new Room();
      const programs = { '32': room.program('tls', m32, 'tls32'), '64': room.program('tls', [], 'tls64') };
      const command = ['sh', '-c', '"$1" "$0" & exec "$2" "$0"', room.path('go'), programs[child], programs[root]];
      const program = await room.start(command);
      await program.line(/ready \d+\n(?:.*\n)*?ready \d+\n/);
      await sleep(20);
      for (const pid of mentioning(room.path('go'))) room.own(pid);
      await room.checkpoint(program, room.path('image.1'));
      await room.checkpoint(program, room.path('image'), '--kill');
      await until('the end of both', () => mentioning(room.path('go')).length === 0);
      const again = await room.restart(room.path('image'), program);
      for (const pid of mentioning(room.path('go'))) room.own(pid);
      assert.equal(mentioning(room.path('go')).length, 2);
      room.go();
      await again.line(/PASS\n(?:.*\n)*?PASS\n/);
    });
  }

  test('what a segment holds in a 64-bit program', async () => {
    using room = new Room();
    const program = await begin(room, { program: 'tls', flags: [] });
    await room.checkpoint(program, room.path('image'), '--kill');
    await program.gone();
    const again = await room.restart(room.path('image'), program);
    room.go();
    await again.passes();
  });
});
