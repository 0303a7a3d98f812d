/*
 * Shared memory of every kind: `shared GO DIRECTORY [deleted]`. Contents, holes, sharing between mappings, and access rights must
 * come back, and /proc/self/smaps must list the same mappings with the same flags.
 */
#include "program.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum { PAGE = 4096, MIB = 1 << 20 };
static const size_t SPARSE = (size_t)1 << (sizeof(size_t) == 8 ? 36 : 29);

static char *map(size_t size, int protection, int flags, int fd, off_t offset) {
  char *place = mmap(NULL, size, protection, flags, fd, offset);
  need(place != MAP_FAILED, "mmap");
  return place;
}

/* Whether the kernel could write a byte there on our behalf. No signal is involved. */
static int writable(char *place) {
  int fd = open("/dev/zero", O_RDONLY), yes = read(fd, place, 1) == 1;
  close(fd);
  return yes;
}

static void same(char *one, char *other, const char *what) {
  *(volatile uint64_t *)one = 4711;
  check(*(volatile uint64_t *)other == 4711, "%s: a write to one mapping is not seen in the other", what);
}

int main(int argc, char **argv) {
  need(argc >= 3, "usage: shared GO DIRECTORY [deleted]");
  char path[4096];

  char *anonymous = map(MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  fill(anonymous + 3 * PAGE, 5 * PAGE, 1), fill(anonymous + MIB - PAGE, PAGE, 2);
  char *tail = mremap(anonymous + MIB / 2, 0, MIB / 2, MREMAP_MAYMOVE); /* the second half, mapped twice */
  need(tail != MAP_FAILED, "mremap");
  need(mprotect(anonymous + 3 * PAGE, 2 * PAGE, PROT_READ) == 0, "mprotect");

  const int zero = open("/dev/zero", O_RDWR);
  char *device = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0);
  fill(device, PAGE, 3), close(zero);
  char *sparse = map(SPARSE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  fill(sparse + SPARSE / 2, PAGE, 4);
  need(munmap(sparse + 1 * MIB, SPARSE / 2 - MIB) == 0, "munmap");

  int fd = memfd_create("named memory", MFD_ALLOW_SEALING);
  need(fd >= 0 && ftruncate(fd, 5 * PAGE + 100) == 0, "memfd_create");
  char *file = map(6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char *reader = map(6 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
  char *offset = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 3 * PAGE);
  char *copy = map(6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  fill(file + PAGE, PAGE, 5), fill(file + 4 * PAGE, PAGE, 6), fill(copy + 2 * PAGE, PAGE, 7);
  need(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE) == 0, "seal");
  close(fd);

  char *deleted = NULL, *deleted_view = NULL;
  if (argc > 3) {
    snprintf(path, sizeof path, "/dev/shm/stasis-test-%d", (int)getpid()); /* what shm_open does */
    fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    need(fd >= 0 && ftruncate(fd, 4 * PAGE) == 0, path);
    deleted = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    deleted_view = map(PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
    fill(deleted + 2 * PAGE, PAGE, 8);
    need(unlink(path) == 0 && close(fd) == 0, "unlink");
  }

  ready();
  wait_for(argv[1]);

  check(wrong(anonymous + 3 * PAGE, 5 * PAGE, 1) == 0 && wrong(anonymous + MIB - PAGE, PAGE, 2) == 0, "anonymous memory");
  check(anonymous[0] == 0 && anonymous[20 * PAGE] == 0 && !writable(anonymous + 3 * PAGE) && writable(anonymous + 5 * PAGE), "its rest");
  same(anonymous + MIB / 2 + PAGE, tail + PAGE, "anonymous memory");
  check(wrong(device, PAGE, 3) == 0 && device[PAGE] == 0, "/dev/zero mapped shared");
  check(wrong(sparse + SPARSE / 2, PAGE, 4) == 0 && sparse[0] == 0 && writable(sparse + (SPARSE) - PAGE), "a sparse one");
  check(wrong(file + PAGE, PAGE, 5) == 0 && wrong(file + 4 * PAGE, PAGE, 6) == 0, "memfd");
  check(wrong(copy + 2 * PAGE, PAGE, 7) == 0 && wrong(copy + PAGE, PAGE, 5) == 0, "private mapping of a memfd");
  same(file + 3 * PAGE, offset, "memfd"), same(offset + PAGE, reader + 4 * PAGE, "memfd");
  check(!writable(reader) && writable(file), "access to the memfd");
  if (!deleted) return verdict();
  check(wrong(deleted + 2 * PAGE, PAGE, 8) == 0 && wrong(deleted_view, PAGE, 8) == 0, "a deleted file");
  same(deleted + 2 * PAGE, deleted_view, "a deleted file");
  return verdict();
}
