/** What cannot be carried is refused before anything is written, each thing by name, all in one list. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { begin, failed, holdsNoImage, unharmed } from './expectations.ts';
import { Room } from './harness.ts';
import { lacks } from './needs.ts';
import { mentioning, tracerOf } from './processes.ts';
import { until } from './program.ts';

/** What one task's checkpoint refuses, and how the list may call it. */
const refusals: Record<string, RegExp> = {
  inotify: /inotify.*events wait/,
  io_uring: /io_uring/,
  userfaultfd: /userfaultfd/,
  landlock: /landlock/,
  pipe: /pipe.*with another program/,
  'shared-pipe': /pipe.*with another program/,
  socket: /socket/,
  pidfd: /pidfd.*process 1/,
  seccomp: /seccomp/,
  breakpoint: /hardware breakpoint/,
  'other-mode': /code segment 0x23/,
  namespace: /namespace|uts/,
  aio: /aio/,
  sealed: /sealed/,
  secret: /secret/,
  watched: /userfaultfd/,
};

suite('what cannot be carried', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const [kind, pattern] of Object.entries(refusals)) {
    const needsRoot = kind === 'namespace' && process.getuid?.() !== 0;
    test(`${kind} is refused by name`, { skip: needsRoot && 'needs root, to enter a namespace' }, async () => {
      using room = new Room();
      const program = await begin(room, 'refused', kind);
      for (const pid of mentioning(room.path('refused'))) if (pid !== program.pid) room.own(pid);
      const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image'), '--kill', '--json']);
      assert.equal(result.code, 10, `exit code ${result.code}: ${result.stderr}${result.stdout.slice(0, 2000)}`);
      const { blockers } = JSON.parse(result.stdout).error;
      assert.ok(blockers.length >= 1);
      for (const blocker of blockers)
        assert.deepEqual(
          Object.values(blocker).map((field) => typeof field),
          Object.keys(blocker).map(() => 'string'),
        );
      assert.match(JSON.stringify(blockers), pattern);
      for (const { reason, remedy } of blockers)
        assert.ok(reason !== '' && remedy !== '', 'every refusal says why and what to do');
      holdsNoImage(room);
      await unharmed(room, program);
    });
  }

  test('everything in one list', async () => {
    using room = new Room();
    const kinds = ['inotify', 'aio', 'pidfd'];
    const program = await begin(room, 'refused', ...kinds);
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]);
    failed(result, 10);
    for (const kind of kinds) assert.match(result.stderr, refusals[kind] ?? /never/, kind);
    await unharmed(room, program);
  });

  test('a process that is traced already', { skip: !fs.existsSync('/usr/bin/strace') && 'needs strace' }, async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    const strace = await room.start(['strace', '-o', '/dev/null', '-p', String(program.pid)]);
    await until('strace', () => tracerOf(program.pid) !== 0);
    const result = await room.stasis(['checkpoint', String(program.pid), '-o', room.path('image')]);
    assert.ok(result.code === 10 || result.code === 11, `${result.code} ${result.stderr}`);
    assert.match(result.stderr, /trace/);
    strace.signal('SIGTERM');
    await strace.gone();
    await unharmed(room, program);
  });
});
