/*
 * What avx.c does, in a 32-bit program, which has eight registers of each kind: `avx32 GO [sse|avx|avx512]`. Build with
 * -m32 -msse2 -no-pie: the asm names its memory directly, for the want of registers.
 */
#include "program.h"

#define EACH(line) ".irp i,0,1,2,3,4,5,6,7\n" line "\n.endr\n"

/* A write of the ready line, then access(GO) until it is there; int $0x80 changes only eax. esi counts the rounds. */
#define HOLD \
  "mov $4, %%eax\n mov $1, %%ebx\n mov $line, %%ecx\n mov length, %%edx\n int $0x80\n xor %%esi, %%esi\n" \
  "1: inc %%esi\n mov $33, %%eax\n mov go, %%ebx\n xor %%ecx, %%ecx\n int $0x80\n test %%eax, %%eax\n jnz 1b\n" \
  "mov %%esi, rounds\n"
#define LOAD_X87 "fnstcw old_cw\n ldmxcsr mxcsr\n fldcw cw\n fldt x87\n fldt x87+16\n fldt x87+32\n"
#define STORE_X87 \
  "fnstcw cw_after\n stmxcsr mxcsr_after\n fstpt x87_after+32\n fstpt x87_after+16\n fstpt x87_after\n" \
  "fldcw old_cw\n ldmxcsr old_mxcsr\n"
#define CLOBBERS \
  ::: "eax", "ebx", "ecx", "edx", "esi", "memory", "cc", "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", "st(7)", \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7"

__attribute__((aligned(64))) unsigned char before[8 * 64], after[8 * 64];
__attribute__((aligned(16))) unsigned char x87[48], x87_after[48];
uint16_t cw = 0x0f3f - 0x0800, cw_after, old_cw;
uint32_t mxcsr = 0x1f80 | 0x4000 | 0x8000 | 0x21, mxcsr_after, old_mxcsr = 0x1f80, rounds, length;
char line[32];
const char *go;

static void hold_sse(void) {
  __asm__ volatile(LOAD_X87 EACH("movups before+\\i*64, %%xmm\\i") HOLD EACH("movups %%xmm\\i, after+\\i*64") STORE_X87 CLOBBERS);
}
static void hold_avx(void) {
  __asm__ volatile(LOAD_X87 EACH("vmovups before+\\i*64, %%ymm\\i") HOLD EACH("vmovups %%ymm\\i, after+\\i*64") "vzeroupper\n" STORE_X87 CLOBBERS);
}
static void hold_avx512(void) {
  __asm__ volatile(LOAD_X87 EACH("vmovups before+\\i*64, %%zmm\\i") HOLD EACH("vmovups %%zmm\\i, after+\\i*64") "vzeroupper\n" STORE_X87 CLOBBERS);
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: avx32 GO sse|avx|avx512");
  const size_t bytes = strcmp(argv[2], "avx512") == 0 ? 64 : strcmp(argv[2], "avx") == 0 ? 32 : 16;
  go = argv[1];
  fill(before, sizeof before, 1);
  *(long double *)(void *)x87 = 3.14159265358979323846L;
  *(long double *)(void *)(x87 + 16) = -1.0L / 3;
  *(long double *)(void *)(x87 + 32) = 1e-4930L;
  length = (uint32_t)sprintf(line, "ready %d\n", (int)getpid());
  if (bytes == 64) hold_avx512();
  else if (bytes == 32) hold_avx();
  else hold_sse();

  for (int i = 0; i < 8; i++) check(memcmp(before + i * 64, after + i * 64, bytes) == 0, "%s register %d", argv[2], i);
  for (int i = 0; i < 3; i++) check(memcmp(x87 + i * 16, x87_after + i * 16, 10) == 0, "x87 value %d", i);
  check((cw_after & 0xf3f) == (cw & 0xf3f), "x87 control word: %04x, must be %04x", cw_after, cw);
  check(mxcsr_after == mxcsr, "mxcsr: %08x, must be %08x", mxcsr_after, mxcsr);
  printf("held %s over %u rounds\n", argv[2], rounds);
  return verdict();
}
