/**
 * A working area inside a task that is being rebuilt, and tables of system calls that it runs there in one go: one
 * stop for many calls. Only for tasks that die with us (a restart): the code ends in a breakpoint.
 */
import { StasisError } from '../errors.ts';
import type { Registers } from '../arch/architecture.ts';
import { syscallName, type SyscallName } from '../linux/syscalls.ts';
import { LocalMemory, syscallError, type Word } from '../linux/ffi.ts';
import { writeProcess, readProcess, MemoryFile } from '../linux/process-memory.ts';
import { PTRACE } from '../linux/ptrace.ts';
import type { Tracee } from './tracee.ts';

const entrySize = 80;
const wordsPerEntry = entrySize / 8;
const pageSize = 4096;
const MAY_FAIL = 1n;
const PROGRAM_CALL = 2n;

/** Size of the area in the task: a page of code, then room for tables and their data. */
export const areaSize = 0x100000;

interface Entry {
  readonly name: SyscallName;
  readonly action: string;
}

/** System calls for the task, with the memory that they point to. */
export class Batch {
  readonly #area: Area;
  readonly #calls: Entry[] = [];
  readonly #words: bigint[] = [];
  #dataEnd: number;

  constructor(area: Area) {
    this.#area = area;
    this.#dataEnd = area.dataSize;
  }

  get size(): number {
    return this.#calls.length;
  }

  /** True while `count` more calls and `bytes` more data fit. */
  hasRoom(count: number, bytes = 0): boolean {
    return (this.#calls.length + count + 1) * entrySize + bytes + 64 < this.#dataEnd;
  }

  /** Adds a call; `action` completes «Cannot …» in the error. Returns its index. */
  add(action: string, name: SyscallName, parameters: readonly Word[], options: { mayFail?: boolean } = {}): number {
    const number = this.#area.tracee.architecture.syscalls[name];
    return this.#add(number, action, name, parameters, options.mayFail === true ? MAY_FAIL : 0n);
  }

  /** Adds a call that the kernel shall take as one of the program itself, with structures of the program's layout. */
  addProgramCall(action: string, name: SyscallName, parameters: readonly Word[]): number {
    const { abi, syscalls } = this.#area.tracee.architecture;
    const flag = abi.numbers === syscalls ? 0n : PROGRAM_CALL;
    return this.#add(abi.numbers[name] ?? fail(name), action, name, parameters, flag);
  }

  #add(number: number, action: string, name: SyscallName, parameters: readonly Word[], flags: bigint): number {
    if (!this.hasRoom(1)) throw new RangeError('a batch is full');
    const words = this.#words;
    words.push(BigInt(number));
    for (let index = 0; index < 6; index++) {
      const word = parameters[index] ?? 0;
      words.push(word >= 0 ? BigInt(word) : BigInt.asUintN(64, BigInt(word)));
    }
    words.push(0n, 0n, flags);
    this.#calls.push({ name, action });
    return this.#calls.length - 1;
  }

  /** Bytes the calls may point to; returns their address in the task. Kept until the batch has run. */
  data(bytes: Uint8Array): bigint {
    this.#dataEnd = (this.#dataEnd - bytes.length) & ~15;
    if ((this.#calls.length + 1) * entrySize > this.#dataEnd) throw new RangeError('a batch is full');
    this.#area.local.bytes.set(bytes, this.#dataEnd);
    return this.#area.table + BigInt(this.#dataEnd);
  }

  /** A zero-terminated string. */
  text(value: string): bigint {
    return this.data(Buffer.from(`${value}\0`, 'utf8'));
  }

  /** Runs the table to its end. Results by index; a failing call that may not fail ends the batch with its error. */
  run(): bigint[] {
    if (this.#calls.length === 0) return [];
    this.start();
    return this.finish();
  }

  /** Sets the task going; {@link finish} collects. In between the task works beside us. */
  start(): void {
    const { local, tracee, table } = this.#area;
    this.#words.forEach((word, index) => local.view.setBigUint64(index * 8, word, true));
    local.view.setBigInt64(this.#words.length * 8, -1n, true);
    const length = this.#words.length * 8 + 8;
    const ranges = [{ address: table, length }];
    writeProcess(tracee.tid, local.address, ranges);
    const dataLength = this.#area.dataSize - this.#dataEnd;
    if (dataLength > 0) {
      writeProcess(tracee.tid, local.address + BigInt(this.#dataEnd), [
        { address: table + BigInt(this.#dataEnd), length: dataLength },
      ]);
    }
    tracee.setRegisters(tracee.architecture.batchAt(this.#area.registers, this.#area.code, table));
    tracee.resume(PTRACE.CONT);
  }

  finish(): bigint[] {
    const { local, tracee, table } = this.#area;
    const { signal } = tracee.waitForTrap();
    const registers = tracee.getRegisters();
    const ended = Number(tracee.architecture.batchEnd(registers) - table) / entrySize;
    if (signal !== 5)
      throw new StasisError('RESTART_FAILED', `The task got signal ${signal} in its ${ended}. call`, {
        phase: 'restore',
        pid: tracee.tid,
      });
    readProcess(tracee.tid, local.address, [{ address: table, length: this.#words.length * 8 }]);
    const results = this.#calls.map((_, index) => local.view.getBigInt64(index * entrySize + 56, true));
    const failed = this.#calls[ended];
    if (failed !== undefined) {
      throw syscallError(
        failed.name,
        Number(results[ended]),
        `Cannot ${failed.action}${placeOf(failed.name, this.#words[ended * wordsPerEntry + 1])}`,
        {
          code: 'RESTART_FAILED',
          phase: 'restore',
          pid: tracee.tid,
        },
      );
    }
    return results;
  }
}

/** Calls whose first parameter is the address that they are about. */
const memoryCalls: ReadonlySet<SyscallName> = new Set(['mmap', 'mprotect', 'madvise', 'mlock', 'munmap', 'mremap']);

/** For messages; made when there is one, since there are tens of thousands of such calls. */
function placeOf(name: SyscallName, address: bigint | undefined): string {
  return memoryCalls.has(name) && address !== undefined ? ` at ${address.toString(16)}` : '';
}

function fail(name: string): never {
  throw new RangeError(`the program has no system call ${name}`);
}

/** The working area. Made by one injected call, removed by another. */
export class Area implements Disposable {
  static readonly #unused: LocalMemory[] = [];
  readonly tracee: Tracee;
  readonly code: bigint;
  readonly table: bigint;
  readonly dataSize: number = areaSize - pageSize;
  readonly local: LocalMemory;
  /** Registers that calls start from. */
  readonly registers: Registers;
  /** The program's own system call instruction in its vdso. */
  #instruction: bigint;

  private constructor(tracee: Tracee, instruction: bigint, hole: bigint, local: LocalMemory) {
    this.tracee = tracee;
    this.#instruction = instruction;
    this.registers = tracee.getRegisters();
    this.code = hole;
    this.table = hole + BigInt(pageSize);
    this.local = local;
  }

  /** Makes the area in a task; `instruction`: its own system call instruction in its vdso; `hole`: where the area goes. */
  static make(tracee: Tracee, instruction: bigint, hole: bigint): Area {
    // Its own memory: another restart in this process may be at work at the same time.
    const area = new Area(tracee, instruction, hole, Area.#unused.pop() ?? LocalMemory.allocate(areaSize - pageSize));
    const MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE = 0x100022;
    area.#inject(area.tracee.architecture.abi.mmap, [hole, areaSize, 3, MAP_PRIVATE_ANONYMOUS_FIXED_NOREPLACE, -1, 0]);
    using memory = new MemoryFile(tracee.tid);
    memory.write(area.code, tracee.architecture.code.batch);
    area.#inject('mprotect', [hole, pageSize, 5]);
    return area;
  }

  /** The same area, used by another thread of the process. One at a time: they share the tables. */
  usedBy(tracee: Tracee): Area {
    return new Area(tracee, this.#instruction, this.code, this.local);
  }

  /** The same area in a process that was forked, where it has tables of its own. */
  withOwnTables(): Area {
    return new Area(this.tracee, this.#instruction, this.code, Area.#unused.pop() ?? LocalMemory.allocate(this.dataSize));
  }

  /** One call the program's own way, through the vdso's instruction. */
  #inject(name: string, parameters: readonly Word[]): bigint {
    const { architecture, tid } = this.tracee;
    return this.#call(architecture.programCallAt(this.registers, this.#instruction, name, parameters), name, `prepare ${tid}`);
  }

  /** A call costs two stops. */
  #call(registers: Registers, name: string, action: string): bigint {
    const { architecture } = this.tracee;
    this.tracee.setRegisters(registers);
    this.tracee.resumeToSyscallStop();
    this.tracee.resumeToSyscallStop();
    const result = architecture.result(this.tracee.getRegisters());
    if (result < 0n) {
      throw syscallError(name, Number(result), `Cannot ${action}`, { code: 'RESTART_FAILED', phase: 'restore' });
    }
    return result;
  }

  /** Only our side of it: the memory behind the tables. */
  [Symbol.dispose](): void {
    Area.#unused.push(this.local);
  }

  /** The vdso has moved: calls now go through this address. */
  movedInstruction(address: bigint): void {
    this.#instruction = address;
  }

  batch(): Batch {
    return new Batch(this);
  }

  /** One call by itself, throwing when it fails; `action` completes «Cannot …». */
  mustCall(action: string, name: SyscallName, parameters: readonly Word[]): bigint {
    return this.#call(this.#ourCall(name, parameters), name, action);
  }

  /** Registers for a call of ours, through the instruction in the batch's code: it must be stopped at its exit. */
  #ourCall(name: SyscallName, parameters: readonly Word[]): Registers {
    const { architecture } = this.tracee;
    const instruction = this.code + BigInt(Buffer.from(architecture.code.batch).indexOf(architecture.syscallInstruction));
    return architecture.syscallAt(this.registers, instruction, architecture.syscalls[name], parameters);
  }

  /** Makes one call and stops the task inside it, as an interrupt would; returns what the call then answers. */
  interruptedCall(name: string, parameters: readonly Word[]): bigint {
    const { architecture } = this.tracee;
    this.tracee.setRegisters(architecture.programCallAt(this.registers, this.#instruction, name, parameters));
    this.tracee.resumeToSyscallStop();
    this.tracee.interruptCall();
    return architecture.result(this.tracee.getRegisters());
  }

  /** Makes the task execute a program with its path as the only argument: it is stopped before that one's first instruction. */
  execute(path: string): void {
    const { architecture } = this.tracee;
    const text = Buffer.from(`${path}\0`);
    const list = (text.length + 7) & ~7;
    const bytes = new Uint8Array(list + 16);
    bytes.set(text);
    new DataView(bytes.buffer).setBigUint64(list, this.table, true);
    this.place(bytes);
    const pointers = this.table + BigInt(list);
    this.tracee.setRegisters(this.#ourCall('execve', [this.table, pointers, pointers + 8n]));
    this.tracee.resumeToSyscallStop();
    if (this.tracee.resumeIntoExec()) return;
    throw syscallError('execve', Number(architecture.result(this.tracee.getRegisters())), `Cannot execute ${path}`, {
      code: 'RESTART_FAILED',
      phase: 'restore',
    });
  }

  /** Makes the process end; it has ended when this returns. */
  exit(status: number): void {
    this.tracee.setRegisters(this.#ourCall('exit_group', [status]));
    this.tracee.resume(PTRACE.CONT);
    this.tracee.reap();
  }

  /** Bytes in the area for a single call, between batches; returns their address in the task. */
  place(bytes: Uint8Array): bigint {
    this.local.bytes.set(bytes);
    writeProcess(this.tracee.tid, this.local.address, [{ address: this.table, length: bytes.length }]);
    return this.table;
  }

  remove(): void {
    this.#inject('munmap', [this.code, areaSize]);
  }

  /** For messages: the name of a call number of the task. */
  nameOf(number: number): string {
    return syscallName(this.tracee.architecture.syscalls, number);
  }
}
