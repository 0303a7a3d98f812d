/** Programs for tests of the API: started by `run`, so that nobody else's command is in the way. */
import { run, type ProcessHandle } from 'stasis';
import type { Room } from './harness.ts';
import { Program } from './program.ts';
import { tracerOf } from './processes.ts';
import { until } from './program.ts';
import { checkSequence } from './sequence.ts';

/** The same program as the API and as the other tests see it. */
export interface Started {
  readonly handle: ProcessHandle;
  readonly program: Program;
}

export function seen(room: Room, handle: ProcessHandle, output: string): Program {
  return new Program(room.own(handle.pid), output, `${output}.err`);
}

/** A test program, ready and waiting for `room.go()`. */
export async function begin(room: Room, name: string, ...words: readonly string[]): Promise<Started> {
  const output = room.path(`${name}.out`);
  const command = [room.program(name), room.path('go'), ...words];
  const handle = await run(command, {
    directory: room.directory,
    streams: { output: { path: output }, error: { path: `${output}.err` } },
  });
  const program = seen(room, handle, output);
  await program.line(/^ready/);
  return { handle, program };
}

/** `steps` goes on without a gap, nobody traces it, and it is not stopped. */
export async function goesOn(program: Program): Promise<void> {
  const each = 20_000;
  const before = checkSequence(program.stdout, each);
  await until(
    'the target goes on',
    () => tracerOf(program.pid) === 0 && program.state !== 'T' && checkSequence(program.stdout, each) > before + 2,
    {
      describe: () => `tracer ${tracerOf(program.pid)}, ${program.describe()}`,
    },
  );
}
