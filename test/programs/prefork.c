/*
 * A server that made its workers after its data: `prefork GO WORKERS MEBIBYTES`. The workers share the memory of their
 * parent; each has changed, dropped and mapped some of its own. Afterwards each finds the data of its own and of its parent.
 */
#include "program.h"
#include <sys/mman.h>
#include <sys/wait.h>

enum { page = 4096 };
static char *data, *pattern;
static size_t size;

static int work(const char *go, int number, int ready_to) {
  const size_t mine = (size_t)number * 16 * page;
  char *own = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *grown = malloc(100000); /* the heap grows behind what the parent has of it */
  fill(data + mine, 4 * page, (uint64_t)number);
  madvise(data + mine + 4 * page, page, MADV_DONTNEED);
  fill(own, 8 * page, (uint64_t)number + 100), fill(grown, 99992, (uint64_t)number + 200);
  munmap(data + size - (size_t)number * page, page);
  need(write(ready_to, "", 1) == 1 && close(ready_to) == 0, "tell that it is ready");
  wait_for(go);
  check(wrong(data, mine, 1) == 0, "worker %d: the parent's data before its own", number);
  check(wrong(data + mine, 4 * page, (uint64_t)number) == 0, "worker %d: what it changed", number);
  for (size_t i = 0; i < page; i++) check(data[mine + 4 * page + i] == 0, "worker %d: what it dropped", number), i += 511;
  check(memcmp(data + mine + 5 * page, pattern + mine + 5 * page, 1000 * page) == 0, "worker %d: the parent's data behind its own", number);
  check(wrong(own, 8 * page, (uint64_t)number + 100) == 0, "worker %d: what it mapped", number);
  check(wrong(grown, 99992, (uint64_t)number + 200) == 0, "worker %d: its heap", number);
  check(msync(data + size - (size_t)number * page, page, MS_ASYNC) != 0 && errno == ENOMEM, "worker %d: what it unmapped is there", number);
  fflush(stdout);
  return differences == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  int ends[2], status, workers = argc > 2 ? atoi(argv[2]) : 4;
  char byte;
  size = (size_t)(argc > 3 ? atoi(argv[3]) : 16) << 20;
  need(argc >= 2 && pipe(ends) == 0, "usage: prefork GO WORKERS MEBIBYTES");
  data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pattern = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  fill(data, size, 1), fill(pattern, size, 1);
  for (int number = 1; number <= workers; number++) {
    pid_t pid = fork();
    need(pid >= 0, "fork");
    if (pid == 0) close(ends[0]), _exit(work(argv[1], number, ends[1]));
  }
  close(ends[1]);
  for (int i = 0; i < workers; i++) need(read(ends[0], &byte, 1) == 1, "hear of the workers");
  close(ends[0]);
  fill(pattern, page, 2); /* the workers keep what was there */
  ready();
  wait_for(argv[1]);
  for (int i = 0; i < workers; i++) check(wait(&status) > 0 && status == 0, "a worker ended with %x", status);
  check(wrong(data, size, 1) == 0 && wrong(pattern, page, 2) == 0, "the data of the parent");
  return verdict();
}
