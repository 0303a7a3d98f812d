/**
 * A process that undoes what we did to a target's socket, should we die before we do it ourselves: our duplicate ends with us,
 * but the socket is the target's. The guard shares our descriptors and our memory, waits for our end, restores, and ends.
 * It holds one socket at a time. Source: man 2 pidfd_open (poll), man 2 clone (CLONE_FILES, CLONE_VM).
 */
import { closeSync } from 'node:fs';
import { pollfd } from './abi/poll.ts';
import { LocalMemory, mustSyscall, syscall } from './ffi.ts';
import { SpawnTable } from './spawn.ts';
import { setOption } from './sockets.ts';

const SIGKILL = 9;
const POLLIN = 1;
/** Options to restore for one socket, at most. */
const slots = 4;

export interface Restored {
  readonly level: number;
  readonly option: number;
  readonly value: number;
}

export class Guard implements Disposable {
  readonly #table: SpawnTable;
  readonly #calls: bigint[] = [];
  readonly #values: LocalMemory;
  readonly #ourselves: number;
  readonly #pidfd: number;

  constructor(spawnCode: Uint8Array) {
    this.#ourselves = mustSyscall('pidfd_open', 'Cannot watch this process', process.pid, 0);
    this.#table = new SpawnTable(spawnCode);
    this.#values = LocalMemory.allocate(4096);
    this.#table.blockSignals();
    const waiting = this.#table.bytes(pollfd.make({ fd: this.#ourselves, events: POLLIN }));
    this.#table.add('poll', [waiting, 1, -1]);
    for (let slot = 0; slot < slots; slot++) {
      const value = this.#values.address + BigInt(slot * 4);
      this.#calls.push(this.#table.add('setsockopt', [-1, 0, 0, value, 4], true));
    }
    this.#table.add('exit_group', [0]);
    const pid = this.#table.start({ shareDescriptors: true });
    this.#pidfd = mustSyscall('pidfd_open', 'Cannot watch over the sockets', pid, 0);
  }

  /** Does something to a socket and restores these options afterwards, in this order, whatever happens meanwhile. */
  during<T>(fd: number, restored: readonly Restored[], work: () => T): T {
    if (restored.length > slots) throw new RangeError('more options than the guard holds');
    for (const [slot, { level, option, value }] of restored.entries()) {
      const call = this.#calls[slot] ?? 0n;
      this.#values.view.setInt32(slot * 4, value, true);
      this.#table.change(call + 8n, level);
      this.#table.change(call + 16n, option);
      this.#table.change(call, fd);
    }
    try {
      return work();
    } finally {
      for (const { level, option, value } of restored) setOption(fd, level, option, value);
      for (const call of this.#calls) this.#table.change(call, -1);
    }
  }

  [Symbol.dispose](): void {
    syscall('pidfd_send_signal', this.#pidfd, SIGKILL, 0, 0);
    mustSyscall('poll', 'Cannot end the guard of the sockets', this.#ended(), 1, -1); // then its memory can go
    closeSync(this.#pidfd);
    closeSync(this.#ourselves);
    this.#table.free();
    this.#values.free();
  }

  #ended(): bigint {
    this.#values.bytes.set(pollfd.make({ fd: this.#pidfd, events: POLLIN }), 64);
    return this.#values.address + 64n;
  }
}
