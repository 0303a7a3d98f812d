/* Open files: `files GO DIRECTORY`. Offsets, flags, sharing, close-on-exec, a directory in mid-reading, devices. */
#include "program.h"
#include <sys/stat.h>
#include <sys/syscall.h>

enum { ENTRIES = 300, HIGH = 200 };
static char directory[4096];
static unsigned char seen[ENTRIES];
static int entries;

static int open_at(const char *name, int flags) {
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int fd = open(path, flags, 0600);
  need(fd >= 0, path);
  return fd;
}

/* Reads on through the directory: about `bytes` worth of entries. 0 at its end. */
static long read_directory(int fd, size_t bytes) {
  char buffer[32768] __attribute__((aligned(8)));
  long got = syscall(SYS_getdents64, fd, buffer, bytes);
  for (long at = 0; at < got; at += *(unsigned short *)(void *)(buffer + at + 16)) {
    int number;
    if (sscanf(buffer + at + 19, "entry%d", &number) != 1) continue;
    check(seen[number]++ == 0, "directory entry %d comes twice", number);
    entries++;
  }
  return got;
}

static void offset(int fd, off_t wanted, const char *what) {
  const off_t is = lseek(fd, 0, SEEK_CUR);
  check(is == wanted, "offset of %s: %lld, must be %lld", what, (long long)is, (long long)wanted);
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: files GO DIRECTORY");
  snprintf(directory, sizeof directory, "%s/opened", argv[2]);
  need(mkdir(directory, 0700) == 0, directory);
  for (int i = 0; i < ENTRIES; i++) {
    char name[32];
    snprintf(name, sizeof name, "entry%d", i);
    close(open_at(name, O_CREAT | O_WRONLY));
  }
  char byte, content[1000];
  fill(content, sizeof content, 9);
  const int plain = open_at("plain", O_RDWR | O_CREAT);
  need(write(plain, content, sizeof content) == sizeof content && lseek(plain, 123, SEEK_SET) == 123, "write");
  const int again = open_at("plain", O_RDONLY | O_NONBLOCK); /* its own offset */
  lseek(again, 456, SEEK_SET);
  const int append = open_at("append", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
  need(write(append, "before ", 7) == 7, "write");
  const int twin = dup(plain), high = fcntl(plain, F_DUPFD_CLOEXEC, HIGH), synchronous = open_at("plain", O_RDWR | O_DSYNC);
  const int hole = open_at("hole", O_RDWR | O_CREAT);
  need(ftruncate(hole, 5LL << 30) == 0 && lseek(hole, 4LL << 30, SEEK_SET) == 4LL << 30, "a 5 GiB file with a hole");
  const int listing = open(directory, O_RDONLY | O_DIRECTORY);
  need(listing >= 0 && read_directory(listing, 4096) > 0 && entries < ENTRIES, "getdents64");
  const int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDONLY), full = open("/dev/full", O_WRONLY),
            urandom = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  need(null >= 0 && zero >= 0 && full >= 0 && urandom >= 0, "devices");

  struct { int status, descriptor; dev_t device; ino_t inode, special; } before[HIGH + 1];
  for (int pass = 0; pass < 2; pass++) {
    for (int fd = 0; fd <= HIGH; fd++) {
      struct stat about = {0};
      const int status = fcntl(fd, F_GETFL), descriptor = fcntl(fd, F_GETFD), there = fstat(fd, &about) == 0;
      if (pass == 0) before[fd].status = status, before[fd].descriptor = descriptor;
      check(before[fd].status == status, "flags of fd %d: %o, must be %o", fd, status, before[fd].status);
      check(before[fd].descriptor == descriptor, "close-on-exec of fd %d: %d, must be %d", fd, descriptor, before[fd].descriptor);
      if (pass == 0) before[fd].device = about.st_dev, before[fd].inode = about.st_ino, before[fd].special = about.st_rdev;
      if (fd > 2 && there) /* 0, 1 and 2 may be another terminal or pipe */
        check(before[fd].device == about.st_dev && before[fd].inode == about.st_ino && before[fd].special == about.st_rdev, "fd %d is another file", fd);
    }
    if (pass == 0) {
      ready();
      wait_for(argv[1]);
    }
  }

  offset(plain, 123, "the plain file"), offset(again, 456, "its second opening"), offset(hole, 4LL << 30, "the file with a hole");
  check(read(plain, &byte, 1) == 1 && byte == content[123], "byte 123");
  check(read(again, &byte, 1) == 1 && byte == content[456], "byte 456");
  offset(twin, 124, "the duplicate"), offset(high, 124, "the high duplicate"), offset(again, 457, "the second opening");
  check(lseek(high, 700, SEEK_SET) == 700, "lseek"), offset(plain, 700, "the plain file, set by its duplicate");
  check(fcntl(twin, F_SETFL, O_APPEND) == 0 && fcntl(plain, F_GETFL) & O_APPEND, "duplicates do not share their flags");
  check(!(fcntl(synchronous, F_GETFL) & O_APPEND), "openings of one file share their flags");
  check(lseek(append, 0, SEEK_SET) == 0 && write(append, "after", 5) == 5, "write to the appending file");
  char text[32] = "";
  const int reread = open_at("append", O_RDONLY);
  check(read(reread, text, sizeof text) == 12 && strcmp(text, "before after") == 0, "appended: '%s'", text);
  while (read_directory(listing, 32768) > 0) continue;
  check(entries == ENTRIES, "directory: %d entries seen, must be %d", entries, ENTRIES);
  check(write(null, "x", 1) == 1 && read(null, &byte, 1) == 0, "/dev/null");
  check(read(zero, &byte, 1) == 1 && byte == 0, "/dev/zero");
  check(write(full, "x", 1) == -1 && errno == ENOSPC, "/dev/full");
  check(read(urandom, text, 16) == 16, "/dev/urandom");
  return verdict();
}
