/** Which architecture a process is of. All that a kernel runs are known here. */
import type { Architecture, Registers } from './architecture.ts';
import { i386 } from './i386.ts';
import { x86_64 } from './x86_64.ts';

export const architectures: readonly Architecture[] = [x86_64, i386];

/** By the code that a task executes at this moment; undefined for a code segment of its own making. */
export function architectureOf(registers: Registers): Architecture | undefined {
  return architectures.find((architecture) => architecture.recognises(registers));
}

/** By the vdso that the kernel gave the process when it executed its program: an ELF file of the program's class. */
export function architectureOfVdso(bytes: Uint8Array): Architecture {
  const ELFCLASS32 = 1;
  return bytes[4] === ELFCLASS32 ? i386 : x86_64;
}
