/*
 * A 32-bit program with a segment of its own, which checkpoints itself to its standard output: the source of
 * test/golden/i386.image. Build: gcc -m32 -static -Os -I include -o golden golden-i386.c.
 * Run: true | stasis run -- ./golden > FILE.
 */
#include <asm/ldt.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "stasis.h"

int main(void) {
  static int place;
  struct user_desc segment = {.entry_number = 2, .base_addr = (unsigned)&place, .limit = 3, .seg_32bit = 1, .useable = 1};
  if (syscall(SYS_modify_ldt, 0x11, &segment, sizeof segment) != 0) return 1;
  return checkpoint(0, STDOUT_FILENO, 0) < 0;
}
