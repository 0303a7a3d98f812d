/**
 * Starting processes that are not our children: libuv never hears of them, and they do not depend on us. The new
 * process first runs a table of system calls of our making, on memory it shares with us, and ends it with execve.
 */
import { callCode, LocalMemory, syscall, syscallError, type Word } from './ffi.ts';
import { clone_args } from './abi/clone.ts';
import { timespec } from './abi/time.ts';
import { x86_64Numbers, type SyscallName } from './syscalls.ts';

const entrySize = 80;
const tableSize = 8192;
const stringsSize = 8 << 20; // arguments and environment never exceed 6 MiB (man 2 execve); what is not used costs nothing
const stackSize = 16384;
const WALL = 0x40000000;

/** How long a new process waits for us at a gate: far longer than we ever need. */
const gateSeconds = 10n;

export class SpawnTable {
  readonly #memory: LocalMemory;
  readonly #code: LocalMemory;
  #calls = 0;
  #end = tableSize;

  /** `spawnCode`: the architecture's. The memory must stay until the new process has executed its program ({@link free}). */
  constructor(spawnCode: Uint8Array) {
    this.#memory = LocalMemory.allocate(tableSize + stringsSize + stackSize);
    this.#code = LocalMemory.scratch('spawn code', 4096, true);
    this.#code.bytes.set(spawnCode);
  }

  /** Adds a call and returns the address of its first parameter, which may still be changed while the process waits. */
  add(name: SyscallName, parameters: readonly Word[], mayFail = false): bigint {
    const at = this.#calls++ * entrySize;
    if (at + 2 * entrySize > tableSize) throw new RangeError('the table is full');
    const { view } = this.#memory;
    view.setBigInt64(at, BigInt(x86_64Numbers[name]), true);
    for (let index = 0; index < 6; index++)
      view.setBigInt64(at + 8 + index * 8, BigInt.asIntN(64, BigInt(parameters[index] ?? 0)), true);
    view.setBigUint64(at + 72, mayFail ? 1n : 0n, true);
    view.setBigInt64(at + entrySize, -1n, true);
    return this.#memory.address + BigInt(at + 8);
  }

  /** Changes the first parameter of a call that the process has not made yet. */
  change(call: bigint, parameter: number): void {
    this.#memory.view.setBigInt64(Number(call - this.#memory.address), BigInt(parameter), true);
  }

  /** What a call answered; 0 as long as it has not been made. */
  result(call: bigint): number {
    return Number(this.#memory.view.getBigInt64(Number(call - this.#memory.address) + 48, true));
  }

  write(place: bigint, value: Uint8Array): void {
    this.#memory.bytes.set(value, Number(place - this.#memory.address));
  }

  bytes(value: Uint8Array): bigint {
    const at = (this.#end + 15) & ~15;
    if (at + value.length > tableSize + stringsSize) throw new RangeError('the arguments are too long');
    this.#memory.bytes.set(value, at);
    this.#end = at + value.length;
    return this.#memory.address + BigInt(at);
  }

  text(value: string | Uint8Array): bigint {
    return this.bytes(Buffer.concat([Buffer.from(value), Uint8Array.of(0)]));
  }

  /** A null-terminated array of strings. */
  texts(values: readonly (string | Uint8Array)[]): bigint {
    const pointers = [...values.map((value) => this.text(value)), 0n];
    return this.bytes(new Uint8Array(BigUint64Array.from(pointers).buffer));
  }

  /** Everything that a signal could disturb is blocked until the program is executed. */
  blockSignals(): void {
    const SIG_SETMASK = 2;
    this.add('rt_sigprocmask', [SIG_SETMASK, this.bytes(new Uint8Array(8).fill(0xff)), 0, 8]);
  }

  /** The process gets these of our descriptors as its 0, 1 and 2: either those very three, or others above them. */
  streams(fds: Streams): void {
    for (const [number, fd] of fds.entries()) {
      if (fd === number) this.inherit(fd);
      else this.add('dup3', [fd, number, 0]);
    }
  }

  /** The process keeps these of our descriptors. Node marks all that it finds at its start close-on-exec. */
  inherit(...fds: readonly number[]): void {
    const F_SETFD = 2;
    for (const fd of fds) this.add('fcntl', [fd, F_SETFD, 0], true);
  }

  unblockSignals(): void {
    const SIG_SETMASK = 2;
    this.add('rt_sigprocmask', [SIG_SETMASK, this.bytes(new Uint8Array(8)), 0, 8]);
  }

  /** These signals have their default action again: an ignored one stays ignored over execve (man 2 execve). */
  defaultActions(...signals: readonly number[]): void {
    const action = this.bytes(new Uint8Array(32)); // struct sigaction: SIG_DFL
    for (const signal of signals) this.add('rt_sigaction', [signal, action, 0, 8]);
  }

  /** Returns the call, whose {@link result} is minus the errno when it failed. */
  execute(path: string, words: readonly string[], environment: readonly string[]): bigint {
    return this.add('execve', [this.text(path), this.texts(words), this.texts(environment)]);
  }

  /** A place at which the process waits until {@link Gate.open}. When we die before that it ends by itself, a little later. */
  gate(): Gate {
    const FUTEX_WAIT = 0;
    const word = this.bytes(new Uint8Array(4));
    const limit = this.bytes(timespec.make({ tv_sec: gateSeconds }));
    this.add('futex', [word, FUTEX_WAIT, 0, limit], true);
    const noProcess = 0x7fff_ffff; // above every pid: the call fails, and with it the table
    const pass = this.add('getpgid', [noProcess]);
    const view = this.#memory.view;
    const offset = Number(word - this.#memory.address);
    return {
      open: () => {
        const FUTEX_WAKE = 1;
        this.change(pass, 0);
        view.setInt32(offset, 1, true);
        syscall('futex', word, FUTEX_WAKE, 1);
      },
    };
  }

  /**
   * Starts the process; its pid. It belongs to init, or to the nearest subreaper. With `pid` it gets that one, or an error:
   * EEXIST, or EPERM without CAP_CHECKPOINT_RESTORE (man 2 clone3).
   */
  start({ shareDescriptors = false, pid: wanted }: { shareDescriptors?: boolean; pid?: number | undefined } = {}): number {
    const pidOut = this.bytes(new Uint8Array(8));
    const stack = this.#memory.address + BigInt(tableSize + stringsSize + stackSize);
    const CLONE_FILES = 0x400;
    const CLONE_VM = 0x100;
    const flags = shareDescriptors ? CLONE_FILES : 0;
    const how = new BigUint64Array([BigInt(flags), 0n]);
    if (wanted !== undefined) {
      const set_tid = this.bytes(new Uint8Array(Int32Array.of(wanted).buffer));
      how[1] = this.bytes(clone_args.make({ flags: BigInt(CLONE_VM | flags), set_tid, set_tid_size: 1n }));
    }
    const between = callCode(this.#code.address, this.#memory.address, stack, pidOut, this.bytes(new Uint8Array(how.buffer)));
    if (between < 0) throw syscallError('clone', between, 'Cannot start a process');
    while (syscall('wait4', between, 0, WALL, 0) === -4);
    const pid = Number(this.#memory.view.getBigInt64(Number(pidOut - this.#memory.address), true));
    if (pid <= 0) throw syscallError('clone', pid, 'Cannot start a process');
    return pid;
  }

  /** Gives the memory back, once the process has executed its program or ended. */
  free(): void {
    this.#memory.free();
  }
}

/** Descriptors of ours that become a new process's standard input, output and error. */
export type Streams = readonly [stdin: number, stdout: number, stderr: number];

export interface Gate {
  /** Lets the process go on. */
  open(): void;
}

/** Puts /dev/null in the place of a descriptor: the helper must not keep the program's streams open. */
export function silence(table: SpawnTable, fd: number): void {
  const AT_FDCWD = -100;
  const O_RDWR = 2;
  table.add('close', [fd], true);
  table.add('openat', [AT_FDCWD, table.text('/dev/null'), O_RDWR, 0]); // the lowest free number is fd
}

/**
 * Descriptors from `first` on end with the execve. Node marks what it finds at its start close-on-exec only up to the first
 * gap above 15 (libuv: uv_disable_stdio_inheritance), so there may be others that no program of ours should keep open.
 */
export function closeFrom(table: SpawnTable, first: number): void {
  const CLOSE_RANGE_CLOEXEC = 4;
  table.add('close_range', [first, 0xffff_ffff, CLOSE_RANGE_CLOEXEC], true);
}

export function environment(): string[] {
  return Object.entries(process.env).map(([name, value]) => `${name}=${value}`);
}
