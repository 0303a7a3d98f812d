/*
 * Files that are not just a path: `paths GO DIRECTORY`. Names that are not UTF-8, O_PATH, renamed files, a rotated log, files
 * that grew and were replaced meanwhile (test/files.test.ts does that), /proc/self, many status flags.
 */
#include "program.h"
#include <sys/stat.h>

static char directory[4096];

static int open_at(const char *name, int flags) {
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  const int fd = open(path, flags, 0600);
  need(fd >= 0, path);
  return fd;
}

static int is_file(int fd, const char *name) {
  char path[8192];
  struct stat one, other;
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return fstat(fd, &one) == 0 && lstat(path, &other) == 0 && one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: paths GO DIRECTORY");
  snprintf(directory, sizeof directory, "%s/p\xff\xfe", argv[2]);
  need(mkdir(directory, 0700) == 0 && chdir(directory) == 0, "directory");
  const int bytes = open_at("\x80name", O_RDWR | O_CREAT), listing = open(directory, O_RDONLY | O_DIRECTORY);
  const int renamed = open_at("old", O_RDWR | O_CREAT);
  need(write(bytes, "bytes", 5) == 5 && rename("old", "new (deleted)") == 0 && listing >= 0, "rename");
  need(symlink("nowhere", "link") == 0 && mkfifo("fifo", 0600) == 0, "symlink");
  const int path = open_at("\x80name", O_PATH), link = open_at("link", O_PATH | O_NOFOLLOW), fifo = open_at("fifo", O_PATH | O_CLOEXEC),
            place = open_at(".", O_PATH | O_DIRECTORY);
  const int flags[] = {O_RDWR | O_SYNC, O_RDWR | O_DSYNC, O_RDONLY | O_NOATIME, O_WRONLY | O_APPEND | O_NONBLOCK, O_RDWR | O_DIRECT};
  int opened[5], before[5];
  for (int i = 0; i < 5; i++) {
    opened[i] = open("\x80name", flags[i]); /* some file systems know no O_DIRECT */
    need(opened[i] >= 0 || flags[i] & O_DIRECT, "flags");
    before[i] = fcntl(opened[i], F_GETFL);
  }
  const int status = open("/proc/self/status", O_RDONLY), self = open("/proc/self", O_RDONLY | O_DIRECTORY);
  char line[4096] = "";
  need(status >= 0 && self >= 0 && read(status, line, 6) == 6, "/proc/self");
  ready();
  wait_for(argv[1]);

  char text[16] = "";
  check(pread(bytes, text, 15, 0) == 5 && strcmp(text, "bytes") == 0 && is_file(bytes, "\x80name"), "a name that is not UTF-8");
  check(lseek(bytes, 0, SEEK_CUR) == 5 && is_file(listing, "."), "position");
  char cwd[4096];
  check(getcwd(cwd, sizeof cwd) != NULL && strcmp(cwd, directory) == 0, "working directory");
  check(is_file(renamed, "new (deleted)"), "the renamed file");
  check(is_file(path, "\x80name") && fcntl(path, F_GETFL) & O_PATH && read(path, text, 1) == -1, "O_PATH");
  check(is_file(link, "link") && readlinkat(link, "", text, sizeof text) == 7, "O_PATH of a symbolic link");
  check(is_file(fifo, "fifo") && fcntl(fifo, F_GETFD) == FD_CLOEXEC, "O_PATH of a fifo");
  check(is_file(place, ".") && faccessat(place, "link", F_OK, AT_SYMLINK_NOFOLLOW) == 0, "O_PATH of a directory");
  for (int i = 0; i < 5; i++) check(fcntl(opened[i], F_GETFL) == before[i], "flags %o, must be %o", fcntl(opened[i], F_GETFL), before[i]);
  check(read(status, line, sizeof line - 1) > 0, "read /proc/self/status");
  int pid = 0;
  const char *at = strstr(line, "\nPid:");
  check(at != NULL && sscanf(at, "\nPid: %d", &pid) == 1 && pid == getpid(), "/proc/self is that of %d", pid);
  const int comm = openat(self, "comm", O_RDONLY);
  check(comm >= 0 && read(comm, text, 5) == 5 && memcmp(text, "paths", 5) == 0, "/proc/self as a directory");
  return verdict();
}
