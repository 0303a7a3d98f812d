/** Restarts whose memory comes late: whole whatever the program does meanwhile, and ended rather than fed with zeros. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { begin, failed } from './expectations.ts';
import { checkout, Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { ordinaryUser, tracerOf } from './processes.ts';
import { until, type Program } from './program.ts';

const needsRoot = process.getuid?.() !== 0 && 'needs root, for userfaultfd';

/** The process that brings the memory of `pid`. */
function keeperOf(pid: number): number | undefined {
  return fs
    .readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((candidate) => {
      try {
        return (
          fs.readFileSync(`/proc/${candidate}/cmdline`, 'latin1').includes('\0keep\0') &&
          fs
            .readdirSync(`/proc/${candidate}/fdinfo`)
            .some((fd) => new RegExp(`^Pid:\\s*${pid}$`, 'm').test(fs.readFileSync(`/proc/${candidate}/fdinfo/${fd}`, 'utf8')))
        );
      } catch {
        return false;
      }
    });
}

const allKept = async (program: Program): Promise<unknown> =>
  await until('the end of the keeper', () => keeperOf(program.pid) === undefined);

suite('lazy restart', { skip: lacks('gcc', 'libc6-dev', 'liblz4-1') || needsRoot }, () => {
  for (const flags of [[], ['--compress=lz4']]) {
    test(`memory is used in every way while it arrives ${flags.join()}`, async () => {
      using room = new Room();
      const program = await begin(room, 'late', '96');
      await room.checkpoint(program, room.path('image'), '--kill', ...flags);
      await program.gone();
      room.go(); // it begins at once
      const again = await room.restart(room.path('image'), program, { flags: ['--lazy'] });
      await again.passes();
      await allKept(again);
    });
  }

  test('what nobody touches arrives too, and the next checkpoint has it', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '48');
    await room.checkpoint(program, room.path('image'), '--kill');
    const again = await room.restart(room.path('image'), program, { flags: ['--lazy'] });
    await allKept(again);
    assert.equal(tracerOf(again.pid), 0);
    const resident = Number(/^VmRSS:\s*(\d+)/m.exec(fs.readFileSync(`/proc/${again.pid}/status`, 'utf8'))?.[1]);
    assert.ok(resident > 48 * 1024, `${resident} kB`);
    await room.checkpoint(again, room.path('second'), '--kill');
    const third = await room.restart(room.path('second'), again);
    room.go();
    await third.passes();
  });

  test('in the foreground', async () => {
    using room = new Room();
    const program = await begin(room, 'late', '32');
    await room.checkpoint(program, room.path('image'), '--kill');
    room.go();
    const command = await room.start([`${checkout}/bin/stasis`, 'restart', '--lazy', room.path('image')]);
    await command.gone();
    await until('the verdict', () => /PASS|FAIL/.test(program.stdout));
    assert.match(program.stdout, /PASS/);
    await until('the end of the keeper', () => keeperOf(command.pid) === undefined);
  });

  test('damage in memory that comes late ends the program', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '64');
    const image = room.path('image');
    await room.checkpoint(program, image, '--kill');
    const fd = fs.openSync(image, 'r+');
    fs.writeSync(fd, 'damage', 20 << 20);
    fs.closeSync(fd);
    room.go();
    const result = succeeded('restart', await room.stasis(['restart', '-d', '--lazy', image], { stdout: room.path('pid') }));
    const pid = Number(fs.readFileSync(room.path('pid'), 'utf8'));
    await until('its end', () => !fs.existsSync(`/proc/${pid}/mem`) && keeperOf(pid) === undefined);
    await until('the message', () =>
      fs.readdirSync(room.directory).some((name) => /was ended.*checksum/.test(textOf(room.path(name)))),
    );
    assert.doesNotMatch(program.stdout, /PASS|FAIL|differs/);
    assert.equal(result.code, 0);
  });

  test('a keeper that is killed takes the program along', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '256');
    await room.checkpoint(program, room.path('image'), '--kill');
    // It may be done already when we find it: then again.
    for (let round = 0; ; round++) {
      assert.ok(round < 10, 'the keeper was never seen at work');
      const again = await room.restart(room.path('image'), program, { flags: ['--lazy'] });
      const keeper = keeperOf(again.pid);
      if (keeper === undefined) {
        again.signal('SIGKILL');
        continue;
      }
      process.kill(keeper, 'SIGSTOP');
      const watched = fs.readFileSync(`/proc/${again.pid}/smaps`, 'utf8').includes(' um');
      process.kill(keeper, 'SIGKILL');
      if (watched) {
        await again.gone();
        break;
      }
      again.signal('SIGKILL');
    }
    assert.doesNotMatch(program.stdout, /PASS|FAIL|differs/);
  });

  test('an image that comes through a pipe', async () => {
    using room = new Room();
    const program = await begin(room, 'spin');
    await room.checkpoint(program, room.path('image'));
    failed(await room.stasis(['restart', '-d', '--lazy'], { stdin: room.path('image') }), 2, /file/);
    room.go();
    await program.passes();
  });

  const user = ordinaryUser(checkout);
  test('an ordinary user is told what it takes', { skip: user.skip }, async () => {
    using room = new Room({ uid: user.uid });
    const program = await begin(room, 'memory', '8');
    await room.checkpoint(program, room.path('image'), '--kill');
    await program.gone();
    failed(await room.stasis(['restart', '-d', '--lazy', room.path('image')]), 11, /userfaultfd|CAP_SYS_PTRACE/);
    assert.doesNotMatch(program.stdout, /PASS|FAIL/);
  });
});

function textOf(path: string): string {
  return fs.statSync(path).size < 1 << 20 ? fs.readFileSync(path, 'latin1') : '';
}
