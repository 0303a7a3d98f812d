/** What becomes of targets and engines when their caller ends: in order, by ^C, by SIGKILL; and of callers without an engine. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { suite, test } from 'node:test';
import { checkpoint, run, StasisError } from 'stasis';
import { begin, goesOn } from './api-program.ts';
import { checkout, Room } from './harness.ts';
import { lacks } from './needs.ts';
import { commandLine, descendants, identify, parentOf, processState, tracerOf } from './processes.ts';
import { until } from './program.ts';

/** A Node program in a session of its own, with `stasis` to import. */
function caller(room: Room, script: string, ...words: string[]): ChildProcess {
  const path = room.path('caller.mjs');
  fs.writeFileSync(path, script);
  return spawn(process.execPath, [path, ...words], { stdio: ['pipe', 'pipe', 'inherit'], detached: true, cwd: checkout });
}

/** Checkpoints what it is told into what never takes it all, one way or the other. */
const stuck = `
import { checkpoint } from 'stasis';
import { Writable } from 'node:stream';
const [pid, how] = process.argv.slice(2);
const sink = how === 'stream' ? new Writable({ write() {}, highWaterMark: 1 }) : { fd: 1 };
await checkpoint(Number(pid), sink);
`;

/** Not the processes that an engine is just starting, which look like it. */
const enginesOf = (caller: number): number[] =>
  descendants(caller).filter((pid) => parentOf(pid) === caller && commandLine(pid).at(-1) === 'serve');

suite('callers', { skip: lacks('gcc', 'libc6-dev') }, () => {
  for (const how of ['stream', 'descriptor'])
    for (const signal of ['SIGKILL', 'SIGINT'] as const) {
      test(`a caller ended by ${signal} in the middle, with a ${how} that stands still`, async () => {
        using room = new Room();
        const { program } = await begin(room, 'steps');
        const child = caller(room, stuck, String(program.pid), how);
        const tracer = await until('the checkpoint', () => tracerOf(program.pid) || undefined);
        const engine = identify(tracer);
        assert.deepEqual(descendants(child.pid ?? 0), [tracer]);
        // ^C goes to the whole group of processes in the foreground.
        process.kill(signal === 'SIGINT' ? -(child.pid ?? 0) : (child.pid ?? 0), signal);
        await once(child, 'exit');
        await goesOn(program);
        await until('the end of the engine', () => processState(engine) === undefined);
        child.stdout?.destroy();
      });
    }

  test('an idle engine keeps nobody alive, and ends with its caller', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'steps');
    const script = `
import { checkpoint, run } from 'stasis';
await checkpoint(${handle.pid}, ${JSON.stringify(room.path('image'))});
const program = await run(['sleep', '60'], { streams: { output: 'inherit' } });
console.log(program.pid);
`;
    const child = caller(room, script);
    const exit = once(child, 'exit', { signal: AbortSignal.timeout(20_000) });
    let output = '';
    child.stdout?.on('data', (chunk) => (output += String(chunk)));
    let engines: number[] = [];
    await until('the program', () => {
      engines = [...new Set([...engines, ...enginesOf(child.pid ?? 0)])];
      return /\n/.test(output);
    });
    room.own(Number(output));
    const [code] = (await exit) as [number];
    assert.equal(code, 0);
    assert.equal(engines.length, 1);
    await until('the end of the engine', () => engines.every((pid) => processState(identify(pid)) === undefined));
    assert.equal(processState(identify(Number(output))), 'S');
    await goesOn(program);
    child.stdout?.destroy();
  });

  test('a caller that waits stays alive for it', async () => {
    using room = new Room();
    const child = caller(
      room,
      `import { run } from 'stasis'; console.log(await (await run(['sh', '-c', 'sleep 0.3; exit 5'])).wait());`,
    );
    const exit = once(child, 'exit');
    const [text] = (await once(child.stdout!, 'data')) as [Buffer];
    assert.equal(String(text), '{ code: 5, signal: null }\n');
    const [code] = (await exit) as [number];
    assert.equal(code, 0);
  });

  test('an engine that is killed: an error, then another engine', async () => {
    using room = new Room();
    const { handle, program } = await begin(room, 'memory', '100');
    const before = descendants(process.pid);
    const killed = checkpoint(handle.pid, room.path('image'), {
      freeze: 'stop', // else nobody traces it any more while its memory is written
      onProgress: ({ phase }) => phase === 'memory' && process.kill(tracerOf(handle.pid), 'SIGKILL'),
    });
    await assert.rejects(
      killed,
      (error) => error instanceof StasisError && error.code === 'FAILED' && /engine/.test(error.message),
    );
    assert.equal(fs.existsSync(room.path('image')), false);
    assert.ok(before.length > 0);
    await checkpoint(handle.pid, room.path('image'));
    // How it ends is not known any more, but that it does.
    room.go();
    assert.deepEqual(await handle.wait(), { code: null, signal: null });
    await program.passes();
    assert.deepEqual(await (await run(['true'])).wait(), { code: 0, signal: null });
  });
});
