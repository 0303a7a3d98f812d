/**
 * 32-bit programs on an x86-64 kernel. Such a task is driven like any other: its code segment is exchanged for the 64-bit
 * one, where our calls are the kernel's own with its own structures (asm/i386.S). What the program does by itself is
 * 32-bit: its registers, and the calls that it makes with int 0x80 or sysenter, which return behind the vdso's int 0x80.
 */
import { i386Numbers } from '../linux/syscalls-i386.ts';
import type { Architecture, ProgramAbi, Registers } from './architecture.ts';
import { i386Code } from './i386-code.ts';
import { get, noCall, userCodeSegment, x86_64, type Name } from './x86_64.ts';

/** __USER32_CS. Source: arch/x86/include/asm/segment.h. */
const userCodeSegment32 = 0x23n;
const dword = 0xffff_ffffn;

/** What an image holds, and the 64-bit registers in which it lies. The bases are those of the descriptors as they were loaded. */
const names = {
  ebx: 'rbx', ecx: 'rcx', edx: 'rdx', esi: 'rsi', edi: 'rdi', ebp: 'rbp', eax: 'rax', ds: 'ds', es: 'es', fs: 'fs', gs: 'gs',
  orig_eax: 'orig_rax', eip: 'rip', cs: 'cs', eflags: 'eflags', esp: 'rsp', ss: 'ss', fs_base: 'fs_base', gs_base: 'gs_base',
} as const; // prettier-ignore

/** These carry numbers, which are negative for errors and in no call: the kernel looks at all 64 bits. */
const signed: ReadonlySet<string> = new Set(['eax', 'orig_eax']);

const abi: ProgramAbi = {
  numbers: i386Numbers,
  audit: 0x40000003,
  wordSize: 4,
  mmap: 'mmap2',
  parameters: ['rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp'],
  instruction: Uint8Array.of(0xcd, 0x80),
};

/** In the 64-bit code segment, at the mercy of none of the program's flags. */
function ours(registers: Registers): Registers {
  return { ...registers, cs: userCodeSegment, eflags: 0x202n };
}

export const i386: Architecture = {
  ...x86_64,
  name: 'i386',
  registerNames: Object.keys(names),
  abi,
  code: i386Code,
  addressLimit: 0xffff_e000n, // IA32_PAGE_OFFSET, arch/x86/include/asm/page_64_types.h
  redZone: 0n,
  recognises: (registers) => get(registers, 'cs') === userCodeSegment32,

  toImage: (registers) => Object.fromEntries(Object.entries(names).map(([name, place]) => [name, get(registers, place) & dword])),

  fromImage(saved) {
    const registers: Record<string, bigint> = Object.fromEntries(x86_64.registerNames.map((name) => [name, 0n]));
    for (const [name, place] of Object.entries(names)) {
      const value = saved[name] ?? 0n;
      registers[place] = signed.has(name) ? BigInt.asUintN(64, BigInt.asIntN(32, value)) : value & dword;
    }
    return registers;
  },

  at: (registers, address) => ours(x86_64.at(registers, address)),
  syscallAt: (registers, address, number, parameters) => ours(x86_64.syscallAt(registers, address, number, parameters)),
  batchAt: (registers, address, table) => ours(x86_64.batchAt(registers, address, table)),

  programCallAt(registers, address, name, parameters) {
    const number = abi.numbers[name];
    if (number === undefined) throw new RangeError(`there is no 32-bit system call ${name}`);
    const words = abi.parameters.map((register, index) => [register, BigInt.asUintN(32, BigInt(parameters[index] ?? 0))]);
    const call = { rip: address, rax: BigInt(number), orig_rax: noCall, eflags: 0x202n, cs: userCodeSegment32 };
    return { ...registers, ...Object.fromEntries(words), ...call };
  },

  blockedCall(registers) {
    const number = BigInt.asIntN(32, get(registers, 'orig_rax'));
    if (number < 0n) return undefined;
    const parameters = abi.parameters.map((name) => get(registers, name as Name) & dword);
    return { number: Number(number), parameters, result: Number(BigInt.asIntN(32, get(registers, 'rax'))) };
  },

  /** As for x86-64, except that eip and cs lie in one word: a far pointer. */
  healData(registers, scratch, length, mask) {
    const far = (get(registers, 'rip') & dword) | (get(registers, 'cs') << 32n);
    return x86_64.healData({ ...registers, rip: far }, scratch, length, mask);
  },
};
