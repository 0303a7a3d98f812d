/** Registers as ptrace gives them on x86-64 (asm/user_64.h in the kernel, sys/user.h in C libraries). */
import { Struct } from '../structs.ts';

const user_regs_struct_fields = {
  r15: ['u64', 0],
  r14: ['u64', 8],
  r13: ['u64', 16],
  r12: ['u64', 24],
  rbp: ['u64', 32],
  rbx: ['u64', 40],
  r11: ['u64', 48],
  r10: ['u64', 56],
  r9: ['u64', 64],
  r8: ['u64', 72],
  rax: ['u64', 80],
  rcx: ['u64', 88],
  rdx: ['u64', 96],
  rsi: ['u64', 104],
  rdi: ['u64', 112],
  orig_rax: ['u64', 120],
  rip: ['u64', 128],
  cs: ['u64', 136],
  eflags: ['u64', 144],
  rsp: ['u64', 152],
  ss: ['u64', 160],
  fs_base: ['u64', 168],
  gs_base: ['u64', 176],
  ds: ['u64', 184],
  es: ['u64', 192],
  fs: ['u64', 200],
  gs: ['u64', 208],
} as const;

/** NT_PRSTATUS of PTRACE_GETREGSET; also how core files and PTRACE_GETREGS have it. */
export const user_regs_struct: Struct<typeof user_regs_struct_fields> = new Struct({
  type: 'struct user_regs_struct',
  header: 'sys/user.h',
  size: 216,
  fields: user_regs_struct_fields,
  arch: 'x64',
});
