/* malloc and brk, before and after: `heap GO`. What was allocated keeps its contents, and the heap can still grow. */
#include "program.h"
#include <malloc.h>

enum { BLOCKS = 2000 };
static void *blocks[BLOCKS];

static size_t size_of(int i) { return i % 100 == 99 ? 300000 : (size_t)(16 + i * 8 % 5000); }

int main(int argc, char **argv) {
  need(argc >= 2, "usage: heap GO");
  for (int i = 0; i < BLOCKS; i++) {
    need((blocks[i] = malloc(size_of(i))) != NULL, "malloc");
    fill(blocks[i], size_of(i), (uint64_t)i);
  }
  for (int i = 0; i < BLOCKS; i += 3) free(blocks[i]), blocks[i] = NULL;
  char *const end = sbrk(0);
  ready();
  wait_for(argv[1]);

  check(sbrk(0) == (void *)end, "brk: %p, must be %p", sbrk(0), (void *)end);
  for (int i = 0; i < BLOCKS; i++)
    if (blocks[i]) check(wrong(blocks[i], size_of(i), (uint64_t)i) == 0, "block %d", i);

  char *const grown = sbrk(1 << 20);
  check(grown == end, "sbrk gave %p, must continue at %p", (void *)grown, (void *)end);
  if (grown == end) {
    fill(grown, 1 << 20, 7);
    check(wrong(grown, 1 << 20, 7) == 0, "memory from sbrk");
    check(sbrk(-(1 << 20)) == (void *)(end + (1 << 20)), "sbrk back: %s", strerror(errno));
  }
  for (int i = 0; i < BLOCKS; i += 3) {
    check((blocks[i] = malloc(size_of(i))) != NULL, "malloc afterwards");
    fill(blocks[i], size_of(i), (uint64_t)i);
  }
  for (int round = 1; round <= 4; round++) {
    char *big = malloc((size_t)round << 20);
    check(big != NULL, "malloc of %d MiB", round);
    if (big) memset(big, round, (size_t)round << 20);
    blocks[round * 7] = realloc(blocks[round * 7], size_of(round * 7) + 100000);
    check(wrong(blocks[round * 7], size_of(round * 7), (uint64_t)round * 7) == 0, "block %d after realloc", round * 7);
    free(big);
  }
  for (int i = 0; i < BLOCKS; i++) {
    check(wrong(blocks[i], size_of(i), (uint64_t)i) == 0, "block %d at the end", i);
    free(blocks[i]);
  }
  malloc_trim(0);
  return verdict();
}
