/** Many system calls of this process at the price of one call of the FFI library, about 1 µs. The code is the architecture's. */
import { callCode, LocalMemory, type Word } from './ffi.ts';
import { x86_64Numbers, type SyscallName } from './syscalls.ts';

const entrySize = 64;
const resultAt = 56;

export class CallTable {
  readonly #code: LocalMemory;
  readonly #memory: LocalMemory;
  #count = 0;

  constructor(code: Uint8Array, room: number) {
    this.#code = LocalMemory.scratch('call table', 4096, true);
    this.#code.bytes.set(code);
    this.#memory = LocalMemory.allocate((room + 1) * entrySize);
    this.#end();
  }

  /** Returns the number of the call. */
  add(name: SyscallName, parameters: readonly Word[]): number {
    const index = this.#count++;
    const at = index * entrySize;
    const { view } = this.#memory;
    view.setBigInt64(at, BigInt(x86_64Numbers[name]), true);
    for (let word = 0; word < 6; word++)
      view.setBigInt64(at + 8 + word * 8, BigInt.asIntN(64, BigInt(parameters[word] ?? 0)), true);
    this.#end();
    return index;
  }

  /** Gives the first parameter of all calls this value, and makes the calls. */
  runWith(first: number): void {
    const { view, address } = this.#memory;
    for (let index = 0; index < this.#count; index++) view.setInt32(index * entrySize + 8, first, true);
    callCode(this.#code.address, address);
  }

  /** What a call answered, or minus the errno. */
  result(index: number): number {
    return this.#memory.view.getInt32(index * entrySize + resultAt, true);
  }

  #end(): void {
    this.#memory.view.setBigInt64(this.#count * entrySize, -1n, true);
  }
}
