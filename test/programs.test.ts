/** Every self-verifying program: undisturbed, checkpointed and going on, and killed and restarted; also without root. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { checkout, Room } from './harness.ts';
import { type Program } from './program.ts';
import { lacks } from './needs.ts';
import { ordinaryUser, tracerOf } from './processes.ts';
import { differences, everythingOf } from './proc-comparison.ts';
import { checkSequence } from './sequence.ts';

const cpu = fs.readFileSync('/proc/cpuinfo', 'utf8');
const without = (feature: string): string | false => !new RegExp(`\\b${feature}\\b`).test(cpu) && `needs a CPU with ${feature}`;

interface Subject {
  program: string;
  arguments?: string[];
  skip?: string | false;
  rootOnly?: true;
}

const subjects: Subject[] = [
  { program: 'spin' },
  { program: 'steps' },
  { program: 'avx', arguments: ['sse'] },
  { program: 'avx', arguments: ['avx'], skip: without('avx') },
  { program: 'avx', arguments: ['avx512'], skip: without('avx512bw') },
  { program: 'heap' },
  { program: 'stack' },
  { program: 'mappings' },
  { program: 'kinds' },
  { program: 'shared' },
  { program: 'shared', arguments: ['deleted'], rootOnly: true }, // only CAP_CHECKPOINT_RESTORE opens what a mapping shows
  { program: 'segments' },
  { program: 'files' },
  { program: 'unix' },
  { program: 'pipes' },
  { program: 'events' },
  { program: 'watches' },
  { program: 'owners' },
  { program: 'nameless' },
  { program: 'locks' },
  { program: 'terminals' },
  { program: 'paths' },
  { program: 'tcp', arguments: ['4', 'full'], rootOnly: true }, // what has not arrived is only seen with CAP_NET_ADMIN
  { program: 'tcp', arguments: ['6'] },
  { program: 'udp', arguments: ['4'] },
  { program: 'netlink' },
  { program: 'udp', arguments: ['6', 'raw'], rootOnly: true },
  { program: 'signals' },
  { program: 'identity' },
  { program: 'identity', arguments: ['dumpable=0'], rootOnly: true }, // an ordinary user may not trace such a process
  { program: 'settings' },
  { program: 'pending' },
  { program: 'handler' },
  { program: 'itimers' },
  { program: 'posix-timers' },
  { program: 'uptime' },
  { program: 'dispatch' },
  // filters are read by root only
  { program: 'seccomp', rootOnly: true },
  { program: 'seccomp', arguments: ['nnp'], rootOnly: true },
  { program: 'seccomp-threads', rootOnly: true },
  { program: 'memory', arguments: ['64'] },
  { program: 'threads' },
];
const takesDirectory = new Set([
  'mappings',
  'shared',
  'files',
  'unix',
  'nameless',
  'locks',
  'paths',
  'pipes',
  'watches',
  'identity',
]);

async function begin(room: Room, subject: Subject): Promise<Program> {
  const directory = takesDirectory.has(subject.program) ? [room.directory] : [];
  const command = [room.program(subject.program), room.path('go'), ...directory, ...(subject.arguments ?? [])];
  const program = await room.start(command);
  await program.line(/^ready \d+\n/);
  await sleep(20);
  return program;
}

const user = ordinaryUser(checkout);
const callers = [
  { caller: 'this user', uid: undefined, skip: false as const },
  { caller: 'an ordinary user', ...user },
];

for (const { caller, uid, skip } of callers) {
  suite(`as ${caller}`, { skip: lacks('gcc', 'libc6-dev') || skip }, () => {
    for (const subject of subjects) {
      if (subject.rootOnly && (uid !== undefined || process.getuid?.() !== 0)) continue;
      const name = [subject.program, ...(subject.arguments ?? [])].join(' ');
      const options = { skip: subject.skip ?? false };

      // That a program is sound, and goes on, does not depend on who checkpoints it.
      if (uid === undefined)
        test(`${name}, undisturbed`, options, async () => {
          using room = new Room({ uid });
          const program = await begin(room, subject);
          room.go();
          await program.passes();
        });

      if (uid === undefined)
        test(`${name} goes on after a checkpoint`, options, async () => {
          using room = new Room({ uid });
          const program = await begin(room, subject);
          await room.checkpoint(program, room.path('image'));
          assert.equal(tracerOf(program.pid), 0, 'nobody traces it any more');
          assert.equal(fs.statSync(room.path('image')).mode & 0o777, 0o600, 'an image holds secrets');
          room.go();
          await program.passes();
        });

      test(`${name} goes on after kill and restart`, options, async () => {
        using room = new Room({ uid });
        const program = await begin(room, subject);
        const before = everythingOf(program.pid);
        await room.checkpoint(program, room.path('image'), '--kill');
        await program.gone();
        const again = await room.restart(room.path('image'), program);
        assert.deepEqual(differences(before, everythingOf(again.pid)), []);
        assert.equal(tracerOf(again.pid), 0, 'nobody traces it any more');
        await sleep(50);
        room.go();
        await again.passes();
      });
    }

    test('spin through ten generations', async () => {
      using room = new Room({ uid });
      let program = await begin(room, { program: 'spin' });
      for (let generation = 1; generation <= 10; generation++) {
        const image = room.path(`image.${generation}`);
        const before = checkSequence(program.stdout, 100_000);
        await room.checkpoint(program, image, '--kill');
        program = await room.restart(image, program);
        await program.line(new RegExp(`^${before + 20 * generation} `, 'm'));
      }
      room.go();
      await program.passes();
      assert.ok(checkSequence(program.stdout, 100_000) > 200);
    });

    test('one image, restarted twice at the same time', async () => {
      using room = new Room({ uid });
      const program = await begin(room, { program: 'memory', arguments: ['8'] });
      await room.checkpoint(program, room.path('image'), '--kill');
      await program.gone();
      const copies = await Promise.all([1, 2].map(() => room.restart(room.path('image'), program)));
      assert.notEqual(copies[0]!.pid, copies[1]!.pid);
      room.go();
      await Promise.all(copies.map((copy) => copy.gone()));
      assert.match(program.stdout, /PASS/);
      assert.doesNotMatch(program.stdout, /FAIL|differs/);
    });

    test('stopped, where it is to stay stopped', async () => {
      using room = new Room({ uid });
      const program = await begin(room, { program: 'spin' });
      await room.checkpoint(program, room.path('image'), '--leave-stopped');
      assert.equal(program.state, 'T', 'as after SIGSTOP');
      assert.equal(tracerOf(program.pid), 0);
      program.signal('SIGCONT');
      room.go();
      await program.passes();
    });
  });
}
