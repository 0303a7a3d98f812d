/* Locks: `locks GO DIRECTORY`. flock, fcntl of a process and of an open file, a lease; each is looked at from another process. */
#include "program.h"
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>

static int open_at(const char *directory, const char *name, int flags) {
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  const int fd = open(path, flags, 0600);
  need(fd >= 0, path);
  return fd;
}

static struct flock range(short type, off_t start, off_t length) {
  return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

/* What somebody else finds: the owner of the lock in the way, 0 for none. An OFD lock has owner -1. */
static int owner(int fd, short type, off_t start, off_t length) {
  int ends[2], found = 0;
  need(pipe(ends) == 0, "pipe");
  const pid_t child = fork();
  if (child == 0) {
    struct flock asked = range(type, start, length);
    found = fcntl(fd, F_GETLK, &asked) != 0 ? -2 : asked.l_type == F_UNLCK ? 0 : asked.l_pid;
    _exit(write(ends[1], &found, sizeof found) != sizeof found);
  }
  need(read(ends[0], &found, sizeof found) == sizeof found && waitpid(child, NULL, 0) == child, "child");
  close(ends[0]), close(ends[1]);
  return found;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: locks GO DIRECTORY");
  const int exclusive = open_at(argv[2], "exclusive", O_RDWR | O_CREAT), twin = dup(exclusive), shared = open_at(argv[2], "shared", O_RDWR | O_CREAT);
  need(flock(exclusive, LOCK_EX) == 0 && flock(shared, LOCK_SH) == 0, "flock");
  const int posix = open_at(argv[2], "posix", O_RDWR | O_CREAT), ofd = open_at(argv[2], "ofd", O_RDWR | O_CREAT);
  struct flock write = range(F_WRLCK, 10, 5), read = range(F_RDLCK, 100, 0), open_file = range(F_WRLCK, 7, 1);
  need(fcntl(posix, F_SETLK, &write) == 0 && fcntl(posix, F_SETLK, &read) == 0 && fcntl(ofd, F_OFD_SETLK, &open_file) == 0, "fcntl");
  close(open_at(argv[2], "leased", O_RDWR | O_CREAT));
  const int leased = open_at(argv[2], "leased", O_RDONLY);
  need(fcntl(leased, F_SETLEASE, F_WRLCK) == 0, "lease");
  ready();
  wait_for(argv[1]);

  const int other = open_at(argv[2], "exclusive", O_RDWR), another = open_at(argv[2], "shared", O_RDWR);
  check(flock(other, LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the exclusive lock is gone");
  check(flock(another, LOCK_EX | LOCK_NB) == -1 && errno == EWOULDBLOCK, "the shared lock is gone");
  check(flock(another, LOCK_SH | LOCK_NB) == 0, "the shared lock is exclusive");
  check(flock(twin, LOCK_UN) == 0 && flock(other, LOCK_EX | LOCK_NB) == 0, "the duplicate does not share the lock");
  check(owner(posix, F_RDLCK, 10, 1) == getpid() && owner(posix, F_RDLCK, 14, 1) == getpid(), "the write lock is gone");
  check(owner(posix, F_WRLCK, 9, 1) == 0 && owner(posix, F_WRLCK, 15, 85) == 0, "the write lock has grown");
  check(owner(posix, F_WRLCK, 1000000, 1) == getpid() && owner(posix, F_RDLCK, 100, 0) == 0, "the read lock");
  check(owner(ofd, F_RDLCK, 7, 1) == -1, "the lock of the open file: %d", owner(ofd, F_RDLCK, 7, 1));
  close(posix);
  check(owner(ofd, F_RDLCK, 7, 1) == -1, "the lock of the open file is one of the process");
  check(fcntl(leased, F_GETLEASE) == F_WRLCK, "lease %d", fcntl(leased, F_GETLEASE));
  return verdict();
}
