/* Holds many objects: `many GO VMAS FDS`. Mappings of one page each with data in it, and open files (of itself, for reading). */
#include "../../test/programs/program.h"
#include <sys/mman.h>
#include <sys/resource.h>

int main(int argc, char **argv) {
  need(argc == 4, "usage: many GO VMAS FDS");
  const size_t vmas = (size_t)atoi(argv[2]), fds = (size_t)atoi(argv[3]), page = 4096;
  /* Every other page is unmapped, so that the kernel cannot merge them. */
  char *place = mmap(NULL, (2 * vmas + 1) * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(place != MAP_FAILED, "mmap");
  for (size_t i = 0; i < vmas; i++) {
    fill(place + 2 * i * page, page, i);
    need(munmap(place + (2 * i + 1) * page, page) == 0, "munmap");
  }
  struct rlimit limit = {fds + 16, fds + 16};
  need(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
  for (size_t i = 0; i < fds; i++) need(open(argv[0], O_RDONLY) >= 0, "open");
  ready();
  wait_for(argv[1]);
  for (size_t i = 0; i < vmas; i++) check(wrong(place + 2 * i * page, page, i) == 0, "page %zu", i);
  return verdict();
}
