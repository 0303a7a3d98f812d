/**
 * The checkpointing and the restarting command are killed by SIGKILL at random moments. The target must never die, stop
 * or err; of a restart nothing half done may be left. STASIS_KILL_ROUNDS sets the number of rounds (default 40).
 */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Room, succeeded } from './harness.ts';
import { type Program, until } from './program.ts';
import { lacks } from './needs.ts';
import { identify, kill, mentioning, processState, runningExecutable, tracerOf } from './processes.ts';
import { checkSequence } from './sequence.ts';

const modes = ['stop', 'fork', 'precopy'];
const allRounds = Number(process.env['STASIS_KILL_ROUNDS'] ?? 40);

/** Half of the rounds anywhere in the life of the command; the other half where it has the target in its hands. */
async function moment(round: number, wholeMs: number, touched: () => boolean): Promise<void> {
  if (round % 2 === 0) {
    await sleep(Math.random() * wholeMs * 1.1);
    return;
  }
  const end = performance.now() + wholeMs * 3;
  while (!touched() && performance.now() < end) await new Promise((next) => setImmediate(next));
  const delay = Math.random() * 25;
  if (delay > 1) await sleep(delay);
}

/** It goes on: more lines, nobody traces it, not stopped. */
async function alive(program: Program, each: number, round: number): Promise<void> {
  const before = checkSequence(program.stdout, each);
  const describe = () => `round ${round}: tracer ${tracerOf(program.pid)}, ${program.describe().slice(-1500)}`;
  const more = () =>
    !program.alive || (tracerOf(program.pid) === 0 && program.state !== 'T' && checkSequence(program.stdout, each) > before + 2);
  await until('the target goes on', more, { describe });
  assert.ok(program.alive, describe());
  assert.doesNotMatch(program.stdout, /error|differs/, describe());
}

suite('SIGKILL', { skip: lacks('gcc', 'libc6-dev') }, () => {
  const m32 = { flags: ['-m32'], skip: lacks('gcc-multilib', 'libc6-dev-i386') };
  for (const { name, each, rounds, flags, skip } of [
    { name: 'steps', each: 20_000, rounds: allRounds, flags: [], skip: false },
    { name: 'spin', each: 100_000, rounds: allRounds, flags: [], skip: false },
    { name: 'steps', each: 20_000, rounds: Math.ceil(allRounds / 8), ...m32 },
  ]) {
    const words = [String(rounds), 'checkpoints of', name, ...flags, 'are killed'];
    test(words.join(' '), { skip, timeout: 170_000 + rounds * 1000 }, async () => {
      using room = new Room();
      const program = await room.start([room.program(name, flags), room.path('go')], { stdin: 'pipe' });
      const feeding = setInterval(() => feed(program), 20);
      try {
        await program.line(/^5 /m);
        const whole = (await room.checkpoint(program, room.path('first'))).ms;
        let completed = 0;
        for (let round = 0; round < rounds; round++) {
          const image = room.path(`image.${round}`);
          const mode = modes[(round >> 1) % modes.length] ?? 'auto'; // each has rounds of both kinds of moment
          const result = await room.stasis(['checkpoint', String(program.pid), `--freeze=${mode}`, '-o', image], {
            meanwhile: async (child) => {
              await moment(round, whole, () => tracerOf(program.pid) !== 0);
              child.kill('SIGKILL');
            },
          });
          if (result.code === 0) completed++;
          else assert.equal(result.signal, 'SIGKILL', `${result.code}: ${result.stderr}`);
          await alive(program, each, round);
          await until(`round ${round}: nothing of ours is left`, () => runningExecutable(room.path(name)).length === 1);
          assert.equal(fs.readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8'), '', `round ${round}`);
          // The final name is given only to a whole image.
          if (fs.existsSync(image)) succeeded(`verify in round ${round}`, await room.stasis(['verify', image]));
        }
        assert.ok(completed < rounds, 'every command was faster than its killer');

        await room.checkpoint(program, room.path('last'), '--kill');
        await program.gone();
        const again = await room.restart(room.path('last'), program, { stdin: 'pipe' });
        const feedingAgain = setInterval(() => feed(again), 20);
        try {
          await alive(again, each, rounds);
          room.go();
          await again.passes(120_000); // it computes everything once more
        } finally {
          clearInterval(feedingAgain);
        }
      } finally {
        clearInterval(feeding);
      }
    });
  }

  for (const background of [true, false]) {
    const rounds = allRounds;
    test(`${rounds} restarts ${background ? 'with -d ' : ''}are killed`, { timeout: 170_000 + rounds * 1000 }, async () => {
      using room = new Room();
      const program = await room.start([room.program('spin'), room.path('go')]);
      await program.line(/^5 /m);
      const image = room.path('image');
      await room.checkpoint(program, image, '--kill');
      await program.gone();
      const executable = room.path('spin');
      const once = await room.restart(image, program);
      const whole = 250;
      once.signal('SIGKILL');
      await once.gone();
      for (let round = 0; round < rounds; round++) {
        const args = ['restart', ...(background ? ['-d'] : []), image];
        let killed = 0;
        await room.stasis(args, {
          meanwhile: async (child) => {
            await moment(round, whole, () => runningExecutable(executable).length > 0);
            killed = child.pid ?? 0;
            child.kill('SIGKILL');
          },
        });
        const helpers = () => mentioning(image).filter((pid) => pid !== killed);
        await until(`round ${round}: our helpers end`, () => helpers().length === 0, {
          describe: () => JSON.stringify(helpers()),
        });
        // Either it runs as it should, or it does not exist.
        for (const pid of runningExecutable(executable)) {
          const process = room.own(pid);
          await until(
            `round ${round}: ${pid} is released or gone`,
            () => processState(process) === undefined || (tracerOf(pid) === 0 && processState(process) !== 'T'),
            {
              timeoutMs: 5000,
              describe: () => `state ${processState(process)}, tracer ${tracerOf(pid)}`,
            },
          );
          const before = fs.statSync(program.stdoutPath).mtimeMs;
          const gone = () => processState(process) === undefined;
          await until(
            `round ${round}: ${pid} goes on or is gone`,
            () => gone() || fs.statSync(program.stdoutPath).mtimeMs > before,
            {
              timeoutMs: 5000,
              describe: () =>
                `state ${processState(process)}, tracer ${tracerOf(pid)}, ${fs.readFileSync(`/proc/${pid}/syscall`, 'utf8')}`,
            },
          );
          kill(identify(pid), 'SIGKILL');
        }
        await until('the end', () => runningExecutable(executable).length === 0);
        checkSequence(program.stdout, 100_000);
      }
    });
  }
});

/** Keeps the pipe of the target from running dry. */
function feed(program: Program): void {
  try {
    program.stdin?.write('xxxxxxxx');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error; // full is full enough
  }
}
