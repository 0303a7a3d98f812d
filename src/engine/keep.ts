/**
 * The keeper of a lazy restart: brings the memory of a program that runs already, first what it waits for, the rest meanwhile.
 * It ends when all has arrived. What cannot be brought ends the program: it must never see zeros in place of its data; a
 * guard does the same should the keeper itself be killed.
 */
import { closeSync, readFileSync, writeSync } from 'node:fs';
import { x86_64 } from '../arch/x86_64.ts';
import { ImageError } from '../errors.ts';
import { readEvents } from '../image/read-events.ts';
import { ImageReader } from '../image/reader.ts';
import { LateSpace, type Content } from '../late-space.ts';
import { LateMemory, readLate, segmentsOf, type LateRecord } from '../lazy-memory.ts';
import { imageFd, ordersFd, readyFd, type KeeperOrder } from '../lazy-restart.ts';
import { PidFd } from '../linux/descriptors.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { KillGuard, readable } from '../linux/kill-guard.ts';
import { UserFaults } from '../linux/userfaultfd.ts';
import { say } from '../messages.ts';
import { maxData } from '../objects/pages.ts';
import { kinds } from '../objects/registry.ts';
import { openSource } from '../source.ts';

const SIGKILL = 9;

export function main(words: readonly string[]): void {
  using input = openSource({ path: `/proc/self/fd/${imageFd}` });
  let late: LateMemory | undefined = new LateMemory();
  try {
    for (const event of readEvents(new ImageReader(kinds, { data: 'skip' }), input)) late.add(event);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    late = undefined; // whoever restarts finds it too, and has nothing for us to do
  }
  const order = readOrder();
  if (order === undefined || late === undefined) return;
  bring(order.pid, takeDescriptor(Number(words[0]), order.uffd), late, input.fd);
}

/** undefined: nothing is to be brought, or the restart has failed. */
function readOrder(): KeeperOrder | undefined {
  const text = readFileSync(ordersFd, 'utf8');
  return text === '' ? undefined : (JSON.parse(text) as KeeperOrder);
}

function takeDescriptor(pid: number, fd: number): number {
  using process = new PidFd(pid);
  return process.duplicate(fd);
}

function bring(pid: number, uffd: number, late: LateMemory, image: number): void {
  if (uffd < 0) throw new Error(`Cannot take the userfaultfd of the restart: error ${-uffd}`);
  using target = new PidFd(pid);
  using guard = new KillGuard(x86_64.code.spawn, target);
  try {
    writeSync(readyFd, 'r');
    closeSync(readyFd);
    serve([new LateSpace(new UserFaults(uffd), segmentsOf(late.records))], cached(image));
  } catch (error) {
    target.kill(SIGKILL);
    const reason = error instanceof Error ? error.message : String(error);
    say(`Process ${pid} was ended, since the rest of its memory could not be brought: ${reason}`);
    process.exitCode = 1;
  }
  void guard;
}

function serve(first: LateSpace[], content: Content): void {
  let spaces = first;
  while (spaces.length > 0) {
    const waiting = readable(
      spaces.map(({ faults }) => faults.fd),
      0,
    );
    const children: LateSpace[] = [];
    for (const [index, space] of spaces.entries()) if (waiting[index] === true) children.push(...answer(space, content));
    if (!waiting.includes(true)) spaces[0]?.advance(content);
    for (const { isDone, faults } of spaces) if (isDone) closeSync(faults.fd);
    spaces = [...spaces.filter(({ isDone }) => !isDone), ...children];
  }
}

/** The spaces of children that were born meanwhile. */
function answer(space: LateSpace, content: Content): LateSpace[] {
  const children: LateSpace[] = [];
  for (const event of space.faults.read()) {
    switch (event.kind) {
      case 'fault':
        space.serve(event.address, content);
        break;
      case 'fork':
        children.push(space.inherit(new UserFaults(event.fd)));
        break;
      case 'remap':
        space.move(event.from, event.to, event.length);
        break;
      case 'gone':
        space.forget(event.start, event.end);
        break;
    }
  }
  return children;
}

/** The content of records, of which a few are kept: faults and filling take turns. */
function cached(fd: number): Content {
  const scratch = LocalMemory.allocate(maxData);
  const places = Array.from({ length: 4 }, () => ({
    memory: LocalMemory.allocate(maxData),
    record: undefined as LateRecord | undefined,
  }));
  return (record) => {
    const at = places.findIndex((place) => place.record === record);
    const place = places.splice(at < 0 ? places.length - 1 : at, 1)[0]!;
    places.unshift(place); // the latest first
    if (at < 0) {
      place.record = undefined;
      readLate(fd, record, place.memory, scratch);
      place.record = record;
    }
    return place.memory.address;
  };
}
