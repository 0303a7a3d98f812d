/** Copies of a running process in place. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { checkout, Room, succeeded } from './harness.ts';
import { lacks } from './needs.ts';
import { descendants, ordinaryUser, tracerOf } from './processes.ts';
import { until, type Program } from './program.ts';
import { branch } from 'stasis';

async function begin(room: Room, name: string, ...rest: string[]): Promise<Program> {
  // Appending: each copy has an open file of its own, with a position of its own.
  const program = await room.start([room.program(name), room.path('go'), ...rest], { stdout: room.path('all') });
  await program.line(/^ready \d+\n/);
  for (const pid of descendants(program.pid)) room.own(pid);
  return program;
}

/** The original and its copies write into the same file. */
async function allPass(program: Program, count: number): Promise<void> {
  const verdicts = (): number => program.stdout.match(/^PASS$/gm)?.length ?? 0;
  await until(`${count} verdicts`, () => verdicts() >= count, { describe: () => program.describe(), timeoutMs: 30_000 });
  assert.doesNotMatch(program.stdout, /FAIL|differs/);
}

const user = ordinaryUser(checkout);

suite('branches', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const [name, ...rest] of [['memory', '32'], ['threads'], ['steps'], ['prefork', '3', '8'], ['heap']] as const) {
    test(`three of ${name}, and the original goes on`, async () => {
      using room = new Room();
      const program = await begin(room, name, ...rest);
      const command = ['branch', '-n', '3', '--json', String(program.pid)];
      const { branches } = JSON.parse(succeeded('branch', await room.stasis(command)).stdout);
      const pids: number[] = branches.map((each: { pid: number }) => room.own(each.pid).pid);
      for (const pid of pids) for (const each of descendants(pid)) room.own(each);
      assert.equal(new Set([program.pid, ...pids]).size, 4);
      for (const pid of [program.pid, ...pids]) assert.equal(tracerOf(pid), 0);
      room.go();
      await allPass(program, 4);
    });
  }

  test('as an ordinary user', { skip: user.skip }, async () => {
    using room = new Room({ uid: user.uid });
    const program = await begin(room, 'memory', '8');
    const pid = Number(succeeded('branch', await room.stasis(['branch', String(program.pid)])).stdout);
    room.own(pid);
    room.go();
    await allPass(program, 2);
  });

  test('by the API, which hears of their end', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '8');
    const { branches, freezeMs } = await branch(program.pid, { copies: 2 });
    assert.ok(freezeMs > 0);
    for (const { pid } of branches) room.own(pid);
    branches[1]!.kill('SIGKILL');
    assert.equal((await branches[1]!.wait()).signal, 'SIGKILL');
    room.go();
    const { code } = await branches[0]!.wait();
    assert.ok(code === 0 || code === null, `${code}`);
    await allPass(program, 2);
  });

  test('one of a branch', async () => {
    using room = new Room();
    const program = await begin(room, 'memory', '8');
    const first = room.own(Number(succeeded('branch', await room.stasis(['branch', String(program.pid)])).stdout));
    const second = Number(succeeded('branch', await room.stasis(['branch', String(first.pid)])).stdout);
    room.own(second);
    room.go();
    await allPass(program, 3);
  });

  test('the example explores', { skip: lacks('python3') }, async () => {
    using room = new Room();
    const program = await room.start([process.execPath, `${checkout}/examples/explore.mjs`, '3']);
    await program.line(/^the best place is at /m, 60_000);
    await program.gone();
    assert.match(program.stdout, /^round 1: /m);
  });
});
