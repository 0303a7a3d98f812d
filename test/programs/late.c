/*
 * Uses its memory in every way while it may still be arriving: `late GO MIB [threads]`. Reads it, discards, unmaps, moves and
 * inherits parts of it, and looks at each part with its own eyes. MIB is a multiple of 8.
 */
#include "program.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { MIB = 1 << 20 };
static char *data;
static size_t part; /* in MiB, an eighth of all */

static size_t bad(char *place, size_t number) {
  size_t count = 0;
  for (size_t i = 0; i < part; i++) count += wrong(place + i * MIB, MIB, number * part + i) != 0;
  return count;
}

static void *reader(void *number) {
  const size_t mine = (size_t)number;
  for (size_t i = part; i-- > 0;) check(wrong(data + (mine * part + i) * MIB, MIB, mine * part + i) == 0, "part %zu, MiB %zu", mine, i);
  return NULL;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: late GO MIB");
  part = (size_t)atoi(argv[2]) / 8;
  data = mmap(NULL, 8 * part * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(data != MAP_FAILED, "mmap");
  for (size_t i = 0; i < 8 * part; i++) fill(data + i * MIB, MIB, i);
  ready();
  wait_for(argv[1]);

  pthread_t threads[2];
  for (size_t i = 0; i < 2; i++) need(pthread_create(&threads[i], NULL, reader, (void *)(i * 7)) == 0, "pthread_create"); /* 0 and 7 */
  need(madvise(data + part * MIB, part * MIB, MADV_DONTNEED) == 0, "MADV_DONTNEED");
  need(munmap(data + 2 * part * MIB, part * MIB) == 0, "munmap");
  const pid_t child = fork();
  if (child == 0) _exit(bad(data + 3 * part * MIB, 3) == 0 && data[part * MIB] == 0 ? 7 : 8);
  char *place = mmap(NULL, part * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *moved = mremap(data + 4 * part * MIB, part * MIB, part * MIB, MREMAP_MAYMOVE | MREMAP_FIXED, place);
  check(moved == place && bad(moved, 4) == 0, "the moved part");
  for (size_t i = 0; i < part * MIB; i += 4096) check(data[part * MIB + i] == 0, "the discarded part, byte %zu", i);
  int fd = open("/dev/null", O_WRONLY);
  check(write(fd, data + 5 * part * MIB, part * MIB) == (ssize_t)(part * MIB) && bad(data + 5 * part * MIB, 5) == 0, "the part that is written");
  fill(data + 6 * part * MIB, MIB, 4711);
  check(wrong(data + 6 * part * MIB, MIB, 4711) == 0, "the part that is overwritten");
  int status = 0;
  check(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7, "the child: %x", status);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  check(bad(data + 3 * part * MIB, 3) == 0, "the part that the child has read too");
  return verdict();
}
