/** x86-64: registers, system call numbers, restart codes, and the machine code of asm/x86_64.S. */
import { x86_64Numbers } from '../linux/syscalls.ts';
import type { Architecture, ProgramAbi, Registers } from './architecture.ts';
import { x86_64Code } from './x86_64-code.ts';

/** In the order of struct user_regs_struct. Source: arch/x86/include/asm/user_64.h. */
const names = [
  'r15', 'r14', 'r13', 'r12', 'rbp', 'rbx', 'r11', 'r10', 'r9', 'r8', 'rax', 'rcx', 'rdx', 'rsi', 'rdi', 'orig_rax', 'rip',
  'cs', 'eflags', 'rsp', 'ss', 'fs_base', 'gs_base', 'ds', 'es', 'fs', 'gs',
] as const; // prettier-ignore

export type Name = (typeof names)[number];

/** __USER_CS. Source: arch/x86/include/asm/segment.h. */
export const userCodeSegment = 0x33n;
/** orig_rax of a task that is in no system call. */
export const noCall = 0xffff_ffff_ffff_ffffn;

const abi: ProgramAbi = {
  numbers: x86_64Numbers,
  audit: 0xc000003e,
  wordSize: 8,
  mmap: 'mmap',
  parameters: ['rdi', 'rsi', 'rdx', 'r10', 'r8', 'r9'],
  instruction: Uint8Array.of(0x0f, 0x05),
};

function decode(bytes: Uint8Array): Registers {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const registers: Record<string, bigint> = {};
  names.forEach((name, index) => (registers[name] = view.getBigUint64(index * 8, true)));
  return registers;
}

function encode(registers: Registers): Uint8Array {
  const bytes = new Uint8Array(names.length * 8);
  const view = new DataView(bytes.buffer);
  names.forEach((name, index) => view.setBigUint64(index * 8, get(registers, name), true));
  return bytes;
}

export function get(registers: Registers, name: Name): bigint {
  const value = registers[name];
  if (value === undefined) throw new RangeError(`register ${name} is missing`);
  return value;
}

/** Order of the saved registers in the data of heal and follow, after the flags. */
const healOrder: readonly Name[] = [...names.slice(0, 15), 'rip', 'rsp'];

function healing(registers: Registers): bigint[] {
  return [get(registers, 'eflags'), ...healOrder.map((name) => get(registers, name))];
}

function wordBytes(words: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(words).buffer);
}

export const x86_64: Architecture = {
  name: 'x86_64',
  registerNames: names,
  abi,
  syscalls: x86_64Numbers,
  addressLimit: 0x7fff_ffff_f000n, // TASK_SIZE_MAX, arch/x86/include/asm/page_64.h
  decodeRegisters: decode,
  encodeRegisters: encode,
  recognises: (registers) => get(registers, 'cs') === userCodeSegment,
  toImage: (registers) => registers,
  fromImage: (registers) => registers,

  at: (registers, address) => ({ ...registers, rip: address, orig_rax: noCall }),

  syscallAt(registers, address, number, parameters) {
    const [rdi = 0n, rsi = 0n, rdx = 0n, r10 = 0n, r8 = 0n, r9 = 0n] = parameters.map((word) => BigInt.asUintN(64, BigInt(word)));
    return { ...registers, rip: address, rax: BigInt(number), orig_rax: noCall, rdi, rsi, rdx, r10, r8, r9 };
  },

  programCallAt(registers, address, name, parameters) {
    const number = abi.numbers[name];
    if (number === undefined) throw new RangeError(`there is no system call ${name}`);
    return x86_64.syscallAt(registers, address, number, parameters);
  },

  batchAt: (registers, address, table) => ({ ...registers, rip: address, rbx: table, orig_rax: noCall, eflags: 0x202n }),
  batchEnd: (registers) => get(registers, 'rbx'),

  result: (registers) => BigInt.asIntN(64, get(registers, 'rax')),
  withResult: (registers, value) => ({ ...registers, rax: BigInt.asUintN(64, BigInt(value)), orig_rax: noCall }),

  blockedCall(registers) {
    const number = BigInt.asIntN(64, get(registers, 'orig_rax'));
    if (number < 0n) return undefined;
    const parameters = abi.parameters.map((name) => get(registers, name as Name));
    return { number: Number(number), parameters, result: Number(BigInt.asIntN(64, get(registers, 'rax'))) };
  },

  interrupted: (registers, number, code) => ({ ...registers, orig_rax: BigInt(number), rax: BigInt.asUintN(64, BigInt(code)) }),

  /** The syscall instruction is two bytes (0f 05). */
  callAgain: (registers, number) => ({ ...registers, rip: get(registers, 'rip') - 2n, rax: BigInt(number), orig_rax: noCall }),
  instructionPointer: 'rip',
  stackPointer: 'rsp',
  redZone: 128n,

  syscallInstruction: abi.instruction,
  code: x86_64Code,

  healData(registers, scratch, length, mask) {
    return wordBytes([0n, scratch, length, mask, ...healing(registers)]);
  },

  followData(registers, { busy, tgid, tid, signal, mask }) {
    return wordBytes([busy, BigInt(tgid), BigInt(tid), BigInt(signal), mask, ...healing(registers)]);
  },
};
