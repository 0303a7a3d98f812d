/*
 * Holds values in every vector register while it waits: `avx GO [sse|avx|avx512]`, by default the widest that the CPU has.
 * Also in the mask registers, the x87 stack, the x87 control word and mxcsr. The loop is one asm statement that asks for
 * the file by system calls (the kernel changes only rax, rcx and r11), so the registers are loaded once and stored once.
 */
#include "program.h"

#define ALL16 "0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"
#define HIGH16 "16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"
#define MASKS "1,2,3,4,5,6,7"
#define EACH(numbers, line) ".irp i," numbers "\n" line "\n.endr\n"

/* A write of the ready line, then access(GO) until it is there. rbx counts the rounds. */
#define HOLD \
  "mov $1, %%eax\n mov $1, %%edi\n mov %[line], %%rsi\n mov %[length], %%rdx\n syscall\n" \
  "xor %%ebx, %%ebx\n 1: inc %%rbx\n mov $21, %%eax\n mov %[go], %%rdi\n xor %%esi, %%esi\n syscall\n test %%rax, %%rax\n jnz 1b\n"
#define LOAD_X87 "fnstcw %[old_cw]\n ldmxcsr %[mxcsr]\n fldcw %[cw]\n fldt 0(%[x87])\n fldt 16(%[x87])\n fldt 32(%[x87])\n"
#define STORE_X87 \
  "fnstcw %[cw_after]\n stmxcsr %[mxcsr_after]\n fstpt 32(%[x87_after])\n fstpt 16(%[x87_after])\n fstpt 0(%[x87_after])\n" \
  "fldcw %[old_cw]\n ldmxcsr %[old_mxcsr]\n"
#define OPERANDS \
  : [rounds] "=&b"(rounds), [cw_after] "=m"(cw_after), [mxcsr_after] "=m"(mxcsr_after), [old_cw] "=m"(old_cw) \
  : [before] "r"(before), [after] "r"(after), [masks] "r"(masks), [masks_after] "r"(masks_after), [x87] "r"(x87), \
    [x87_after] "r"(x87_after), [line] "m"(line_at), [length] "m"(length), [go] "m"(go), [cw] "m"(cw), [mxcsr] "m"(mxcsr), \
    [old_mxcsr] "m"(old_mxcsr) \
  : "rax", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", \
    "st(7)", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
    "xmm13", "xmm14", "xmm15"

static __attribute__((aligned(64))) unsigned char before[32 * 64], after[32 * 64];
static uint64_t masks[8], masks_after[8], rounds;
static __attribute__((aligned(16))) unsigned char x87[48], x87_after[48];
static uint16_t cw = 0x0f3f - 0x0800, cw_after, old_cw; /* 53 bits + rounding down, all exceptions masked */
static uint32_t mxcsr = 0x1f80 | 0x4000 | 0x8000 | 0x21, mxcsr_after, old_mxcsr = 0x1f80; /* up, flush to zero, two sticky */
static char line[32];
static const char *line_at = line, *go;
static size_t length;

static void hold_sse(void) {
  __asm__ volatile(LOAD_X87 EACH(ALL16, "movups \\i*64(%[before]), %%xmm\\i") HOLD
                   EACH(ALL16, "movups %%xmm\\i, \\i*64(%[after])") STORE_X87 OPERANDS);
}

static void hold_avx(void) {
  __asm__ volatile(LOAD_X87 EACH(ALL16, "vmovups \\i*64(%[before]), %%ymm\\i") HOLD
                   EACH(ALL16, "vmovups %%ymm\\i, \\i*64(%[after])") "vzeroupper\n" STORE_X87 OPERANDS);
}

__attribute__((target("avx512f,avx512bw"))) static void hold_avx512(void) {
  __asm__ volatile(LOAD_X87 EACH(ALL16, "vmovups \\i*64(%[before]), %%zmm\\i") EACH(HIGH16, "vmovups \\i*64(%[before]), %%zmm\\i")
                   EACH(MASKS, "kmovq \\i*8(%[masks]), %%k\\i") HOLD
                   EACH(ALL16, "vmovups %%zmm\\i, \\i*64(%[after])") EACH(HIGH16, "vmovups %%zmm\\i, \\i*64(%[after])")
                   EACH(MASKS, "kmovq %%k\\i, \\i*8(%[masks_after])") "vzeroupper\n" STORE_X87 OPERANDS,
                   "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
                   "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
}

int main(int argc, char **argv) {
  need(argc >= 2, "usage: avx GO [sse|avx|avx512]");
  const int has512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  const char *width = argc > 2 ? argv[2] : has512 ? "avx512" : __builtin_cpu_supports("avx") ? "avx" : "sse";
  const int registers = strcmp(width, "avx512") == 0 ? 32 : 16;
  const size_t bytes = registers == 32 ? 64 : strcmp(width, "avx") == 0 ? 32 : 16;

  go = argv[1];
  fill(before, sizeof before, 1);
  fill(masks, sizeof masks, 2);
  *(long double *)(void *)x87 = 3.14159265358979323846L;
  *(long double *)(void *)(x87 + 16) = -1.0L / 3;
  *(long double *)(void *)(x87 + 32) = 1e-4930L;
  length = (size_t)sprintf(line, "ready %d\n", (int)getpid());
  if (registers == 32) hold_avx512();
  else if (bytes == 32) hold_avx();
  else hold_sse();

  for (int i = 0; i < registers; i++) check(memcmp(before + i * 64, after + i * 64, bytes) == 0, "%s register %d", width, i);
  for (int i = 1; i < 8 && registers == 32; i++) check(masks[i] == masks_after[i], "mask register %d", i);
  for (int i = 0; i < 3; i++) check(memcmp(x87 + i * 16, x87_after + i * 16, 10) == 0, "x87 value %d", i);
  check((cw_after & 0xf3f) == (cw & 0xf3f), "x87 control word: %04x, must be %04x", cw_after, cw);
  check(mxcsr_after == mxcsr, "mxcsr: %08x, must be %08x", mxcsr_after, mxcsr);
  printf("held %s over %llu rounds\n", width, (unsigned long long)rounds);
  return verdict();
}
