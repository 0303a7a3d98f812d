/* Holds N MiB of data that cannot be compressed: `memory GO MIB`. Random access while it waits; checks all at the end. */
#include "program.h"

int main(int argc, char **argv) {
  need(argc >= 3, "usage: memory GO MIB");
  const size_t mib = (size_t)atoi(argv[2]);
  char *data = malloc(mib << 20);
  need(data != NULL, "malloc");
  for (size_t i = 0; i < mib; i++) fill(data + (i << 20), 1 << 20, i);
  ready();
  wait_for(argv[1]);
  for (size_t i = 0; i < mib; i++) check(wrong(data + (i << 20), 1 << 20, i) == 0, "MiB %zu", i);
  free(data);
  return verdict();
}
