/*
 * The two system calls as a C program sees them, under `stasis run`: `calls DIRECTORY`. Returns and errors as the RFC has
 * them. No failure may harm the caller. Compiled with -I include.
 */
#include "program.h"
#include <signal.h>
#include <stasis.h>
#include <sys/wait.h>

static void fails(long result, int error, const char *what) {
  const int is = errno;
  check(result == -1 && is == error, "%s: %ld (%s), must be -1 (%s)", what, result, result < 0 ? strerror(is) : "-", strerror(error));
  errno = 0;
}

int main(int argc, char **argv) {
  char path[4096];
  unsigned char parameters[120] = {0};
  need(argc >= 2, "usage: calls DIRECTORY");
  signal(SIGPIPE, SIG_IGN);
  fails(checkpoint(0, 1, 1UL << 20), EINVAL, "checkpoint with an unknown flag");
  fails(restart(0, 0, 1UL << 20), EINVAL, "restart with an unknown flag");
  fails(checkpoint(0, 1, CHECKPOINT_SUBTREE), EINVAL, "checkpoint with a flag that is not implemented");
  fails(checkpoint(0, 999, 0), EBADF, "checkpoint to a closed fd");
  fails(restart(0, 999, 0), EBADF, "restart from a closed fd");
  const int read_only = open("/dev/null", O_RDONLY), write_only = open("/dev/null", O_WRONLY);
  fails(checkpoint(0, read_only, 0), EBADF, "checkpoint to an fd open for reading");
  fails(restart(0, write_only, 0), EBADF, "restart from an fd open for writing");
  fails(checkpoint(0x3ffffff0, write_only, 0), ESRCH, "checkpoint of a pid that nobody has");
  fails(checkpoint(-5, write_only, 0), ESRCH, "checkpoint of a negative pid");
  fails(restart(0, read_only, 0), EPIPE, "restart from an empty image");
  if (geteuid() != 0) fails(checkpoint(1, write_only, 0), EPERM, "checkpoint of init by an ordinary user");
  const long ring = syscall(425, 1, parameters); /* io_uring_setup, the same number everywhere */
  need(ring >= 0, "io_uring_setup");
  fails(checkpoint(0, write_only, 0), EOPNOTSUPP, "checkpoint of a task with an io_uring");
  close((int)ring);
  close(read_only);

  snprintf(path, sizeof path, "%s/image", argv[1]);
  const int image = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  need(image >= 0, path);
  const long first = checkpoint(0, image, 0);
  check(first > 0, "checkpoint of oneself by 0: %ld (%s)", first, strerror(errno));
  const long second = checkpoint(getpid(), write_only, 0);
  check(second > first, "checkpoint of oneself by pid: %ld, must be more than %ld", second, first);
  check(lseek(image, 0, SEEK_CUR) > 0, "the image's offset did not move");
  check(ftruncate(image, lseek(image, 0, SEEK_CUR) / 2) == 0 && lseek(image, 0, SEEK_SET) == 0, "truncate");
  fails(restart(0, image, 0), EPIPE, "restart from a truncated image");
  return verdict();
}
