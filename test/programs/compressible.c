/* Holds N MiB of memory that compresses well, zero pages among it, and some that does not: `compressible GO MIB`. */
#include "program.h"

enum { MIB = 1 << 20 };

static void pattern(uint64_t *words, size_t mib) {
  for (size_t i = 0; i < MIB / 8; i++) words[i] = i / 512 % 4 == 3 ? 0 : (uint64_t)mib << 32 | i / 7;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: compressible GO MIB");
  const size_t mib = (size_t)atoi(argv[2]);
  static uint64_t expected[MIB / 8];
  char *data = malloc(mib * MIB), *noise = malloc(5 * MIB);
  need(data && noise, "malloc");
  for (size_t i = 0; i < mib; i++) pattern((uint64_t *)(data + i * MIB), i);
  fill(noise, 5 * MIB, 1);
  ready();
  wait_for(argv[1]);
  for (size_t i = 0; i < mib; i++) {
    pattern(expected, i);
    check(memcmp(data + i * MIB, expected, MIB) == 0, "MiB %zu", i);
  }
  check(wrong(noise, 5 * MIB, 1) == 0, "the noise");
  return verdict();
}
