/*
 * Has one of every kind of object around files that golden.c lacks, and checkpoints itself to its standard output: the source
 * of test/golden/files.image. Build and run as golden.c. (test/golden/carried.image is spin.c, built alike, checkpointed with --carry of a
 * directory that holds a file and a symbolic link.)
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <stdlib.h>
#include <unistd.h>
#include "stasis.h"

int main(void) {
  const int memory = memfd_create("golden", MFD_ALLOW_SEALING), deleted = open("/tmp", O_TMPFILE | O_RDWR, 0600);
  if (write(memory, "memory", 6) != 6 || fcntl(memory, F_ADD_SEALS, F_SEAL_GROW) != 0 || write(deleted, "deleted", 7) != 7) return 1;
  if (open("/etc", O_PATH) < 0 || flock(deleted, LOCK_EX) != 0) return 1;
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  if (setsid() < 0 || unlockpt(master) != 0 || open(ptsname(master), O_RDWR) < 0) return 1; /* controls the session now */
  return checkpoint(0, STDOUT_FILENO, 0) < 0;
}
