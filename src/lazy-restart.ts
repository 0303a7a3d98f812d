/** A restart whose program runs before all of its memory has come: who brings the rest, and what must come at once. */
import { closeSync, readSync, writeSync } from 'node:fs';
import { x86_64 } from './arch/x86_64.ts';
import { engineCommand } from './engine-command.ts';
import { StasisError } from './errors.ts';
import { is, type ImageEvent, type RecordEvent } from './image/events.ts';
import { headKind } from './image/head.ts';
import { LateMemory, readAt } from './lazy-memory.ts';
import { makePipe, PidFd } from './linux/descriptors.ts';
import { mustSyscall } from './linux/ffi.ts';
import { environment, SpawnTable } from './linux/spawn.ts';
import { UserFaults } from './linux/userfaultfd.ts';
import { detachStreams } from './messages.ts';
import { mm } from './objects/mm.ts';
import type { PageBuffers } from './objects/pages.ts';
import { tree } from './objects/tree.ts';
import type { ImageRebuild } from './rebuild-image.ts';
import type { OpenSource } from './source.ts';

/** Where the keeper finds what it works with; between them stands the descriptor for messages. */
export const ordersFd = 3;
export const imageFd = 4;
export const readyFd = 6;

/** What the keeper is told, as JSON, when there is something to bring. The userfaultfd is one of ours. */
export interface KeeperOrder {
  readonly pid: number;
  readonly uffd: number;
}

const F_DUPFD_CLOEXEC = 1030;

export class LazyRestart implements Disposable {
  readonly #input: OpenSource;
  readonly #rebuild: ImageRebuild;
  readonly #late = new LateMemory();
  readonly #keeper: Keeper;
  #whyNot: string | undefined;
  #uffd = -1;

  /** `errors`: our descriptor for what the keeper has to say. */
  constructor(input: OpenSource, rebuild: ImageRebuild, errors: number) {
    if (!input.isFile)
      throw new StasisError('USAGE', 'Cannot restart lazily: the image is not in a file', {
        hint: 'Memory that comes late is read at its place: name the file, or leave --lazy away.',
      });
    this.#input = input;
    this.#rebuild = rebuild;
    this.#keeper = startKeeper(input.fd, errors); // it gets ready while we read
  }

  /** For every event, before anything else is done with it; true when the record need not be looked at now. */
  add(event: ImageEvent): boolean {
    if (is(event, headKind) && event.value.architecture !== x86_64.name)
      this.#whyNot = `it is a program for ${event.value.architecture}`;
    if (is(event, tree.record) && event.value.members.length > 1) this.#whyNot = 'it consists of several processes';
    return this.#whyNot === undefined && this.#late.add(event);
  }

  /** The data of a record that comes at once. */
  dataOf({ dataOffset: offset, dataLength: length, dataCrc: crc }: RecordEvent, buffers: PageBuffers): Uint8Array | undefined {
    return length === 0 ? undefined : readAt(this.#input.fd, { offset, length, crc }, buffers.next.bytes);
  }

  /** When a container has been closed: with the address space complete, what is missing in it is watched, and a keeper started. */
  closed(event: ImageEvent): void {
    if (event.kind.tag !== mm.record.tag || this.#late.records.length === 0 || this.#whyNot !== undefined) return;
    const { task } = this.#rebuild;
    const O_NONBLOCK_CLOEXEC = 0o2004000;
    const index = task.batch.add('make a userfaultfd', 'userfaultfd', [O_NONBLOCK_CLOEXEC], { mayFail: true });
    const theirs = Number(task.flush()[index]);
    if (theirs < 0) throw notAllowed(theirs);
    using process = new PidFd(task.leader.tid);
    const fd = process.duplicate(theirs);
    task.batch.add('close a userfaultfd', 'close', [theirs]);
    task.flush();
    if (fd < 0) throw notAllowed(fd);
    this.#uffd = fd;
    const faults = new UserFaults(fd);
    const result = faults.enable();
    if (result < 0) throw notAllowed(result);
    for (const { start, end } of this.#late.spans) faults.register(start, end - start);
    const order: KeeperOrder = { pid: task.leader.tid, uffd: fd };
    writeSync(this.#keeper.orders, JSON.stringify(order));
    this.#keeper.closeOrders();
  }

  /** Before the last steps: they may touch memory that the keeper brings. */
  awaitKeeper(): void {
    if (this.#whyNot !== undefined) this.#rebuild.notes.push(`All memory was read at once: ${this.#whyNot}`);
    if (this.#uffd < 0) return;
    const got = readSync(this.#keeper.ready, new Uint8Array(1));
    if (got === 0) throw new StasisError('RESTART_FAILED', 'Cannot restart lazily: the process that brings the memory has ended');
  }

  [Symbol.dispose](): void {
    this.#keeper[Symbol.dispose]();
    if (this.#uffd >= 0) closeSync(this.#uffd);
    this.#uffd = -1;
  }
}

function notAllowed(result: number): StasisError {
  return new StasisError('PRIVILEGE', `Cannot restart lazily: userfaultfd is not allowed (error ${-result})`, {
    phase: 'restore',
    hint: 'It takes CAP_SYS_PTRACE, and a kernel with userfaultfd ("stasis doctor" tells). Or leave --lazy away.',
  });
}

class Keeper implements Disposable {
  /** Closed without a word: there is nothing to bring. */
  readonly orders: number;
  /** It says a byte here when it is ready. */
  readonly ready: number;
  #open = true;

  constructor(orders: number, ready: number) {
    this.orders = orders;
    this.ready = ready;
  }

  closeOrders(): void {
    if (this.#open) closeSync(this.orders);
    this.#open = false;
  }

  [Symbol.dispose](): void {
    this.closeOrders();
    closeSync(this.ready);
  }
}

function startKeeper(image: number, errors: number): Keeper {
  const [ready, sayReady] = makePipe();
  const [readOrders, orders] = makePipe();
  const theirs = [readOrders, image, sayReady].map((fd) =>
    mustSyscall('fcntl', 'Cannot start a keeper', fd, F_DUPFD_CLOEXEC, 32),
  );
  const table = new SpawnTable(x86_64.code.spawn);
  table.blockSignals();
  table.add('setsid', []);
  detachStreams(table, errors, () => {
    [ordersFd, imageFd, readyFd].forEach((number, index) => table.add('dup3', [theirs[index] ?? -1, number, 0]));
    return readyFd;
  });
  table.unblockSignals();
  const command = engineCommand('keep', [String(process.pid)]);
  table.execute(command[0] ?? '', command, environment());
  table.start();
  for (const fd of [...theirs, readOrders, sayReady]) closeSync(fd);
  return new Keeper(orders, ready);
}
