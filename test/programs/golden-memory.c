/*
 * Has mappings of every kind, and checkpoints itself to its standard output: the source of test/golden/memory.image. Build:
 * gcc -static -Os -I include -o golden golden-memory.c. Run as root: true | stasis run -- ./golden > FILE.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>
#include "stasis.h"

int main(void) {
  char *shared = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const int fd = memfd_create("golden", 0);
  if (shared == MAP_FAILED || fd < 0 || ftruncate(fd, 4096) != 0) return 1;
  if (mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED || close(fd) != 0) return 1;
  const int segment = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  char *attached = shmat(segment, 0, 0);
  if (attached == (void *)-1 || shmctl(segment, IPC_RMID, 0) != 0) return 1;
  shared[4096] = attached[0] = 1;
  return checkpoint(0, STDOUT_FILENO, 0) < 0;
}
