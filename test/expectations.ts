/** What tests of failures begin with and end with. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import type { Finished, Room } from './harness.ts';
import { tracerOf } from './processes.ts';
import type { Program } from './program.ts';

export async function begin(room: Room, name: string, ...args: string[]): Promise<Program> {
  const program = await room.start([room.program(name), room.path('go'), ...args]);
  await program.line(/^ready/);
  return program;
}

export function failed(result: Finished, code: number, message?: RegExp): void {
  assert.equal(
    result.code,
    code,
    `exit code ${result.code ?? result.signal}, must be ${code}: ${result.stderr}${result.stdout.slice(0, 500)}`,
  );
  assert.match(result.stderr, message ?? /\S/);
  assert.doesNotMatch(result.stderr, /at .*\(?(?:file:|\/).*:\d+:\d+/, 'no stack trace');
}

/** Nothing but what the test put there; in particular no image, whole or not. */
export function holdsNoImage(room: Room): void {
  assert.deepEqual(
    fs.readdirSync(room.directory).filter((name) => name.includes('image')),
    [],
  );
}

export async function unharmed(room: Room, program: Program): Promise<void> {
  assert.equal(tracerOf(program.pid), 0, 'nobody traces it');
  room.go();
  await program.passes();
}
