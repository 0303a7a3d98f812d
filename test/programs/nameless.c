/* Files without a name: `nameless GO DIRECTORY`. memfds with seals and holes, deleted files, O_TMPFILE; what is shared stays so. */
#include "program.h"
#include <sys/mman.h>
#include <sys/stat.h>

enum { SIZE = 5 << 20 }; /* more than one record holds */
static char directory[4096];
static unsigned char block[65536];

static int open_at(const char *name, int flags, mode_t mode) {
  char path[8192];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  const int fd = open(path, flags, mode);
  need(fd >= 0, path);
  return fd;
}

static int again(int fd, int flags) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  const int other = open(path, flags);
  need(other >= 0, path);
  return other;
}

static void put(int fd, size_t size, uint64_t seed, off_t at) {
  for (size_t done = 0; done < size; done += sizeof block) {
    fill(block, sizeof block, seed + done);
    need(pwrite(fd, block, sizeof block, at + (off_t)done) == sizeof block, "pwrite");
  }
}

static void same(int fd, size_t size, uint64_t seed, off_t at, const char *what) {
  for (size_t done = 0; done < size; done += sizeof block) {
    check(pread(fd, block, sizeof block, at + (off_t)done) == sizeof block && wrong(block, sizeof block, seed + done) == 0,
          "%s differs at %zu", what, done);
  }
}

static void about(int fd, mode_t mode, off_t size, int64_t modified, const char *what) {
  struct stat is;
  check(fstat(fd, &is) == 0 && is.st_nlink == 0, "%s: %d links", what, (int)is.st_nlink);
  check((is.st_mode & 07777) == mode, "%s: mode %o, must be %o", what, is.st_mode & 07777, mode);
  check(is.st_size == size, "%s: %lld bytes", what, (long long)is.st_size);
  check(is.st_uid == getuid(), "%s: owner %d", what, (int)is.st_uid);
  check(is.st_mtim.tv_sec * 1000000000 + is.st_mtim.tv_nsec == modified, "%s: modified at another time", what);
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: nameless GO DIRECTORY");
  snprintf(directory, sizeof directory, "%s/inner", argv[2]);
  need(mkdir(directory, 0700) == 0, directory);
  const struct timespec times[2] = {{1, 1}, {1000000000, 123456789}};
  const int64_t modified = 1000000000123456789;

  const int memory = memfd_create("big one", MFD_CLOEXEC | MFD_ALLOW_SEALING), reading = again(memory, O_RDONLY), twin = dup(memory);
  put(memory, SIZE, 1, 0), put(memory, sizeof block, 2, 1LL << 32);
  need(ftruncate(memory, 5LL << 30) == 0 && fchmod(memory, 0640) == 0 && futimens(memory, times) == 0, "memfd");
  need(lseek(memory, 77, SEEK_SET) == 77 && lseek(reading, 99, SEEK_SET) == 99, "lseek");
  const int sealed = memfd_create("sealed", MFD_ALLOW_SEALING), plain = memfd_create("plain", 0);
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
  put(sealed, sizeof block, 3, 0);
  need(fcntl(sealed, F_ADD_SEALS, seals) == 0 && plain >= 0, "seals");

  const int deleted = open_at("deleted", O_RDWR | O_CREAT, 0400), other = open_at("deleted", O_RDONLY | O_NONBLOCK, 0);
  put(deleted, SIZE, 4, 8 << 20);
  need(ftruncate(deleted, 20 << 20) == 0 && unlinkat(AT_FDCWD, "inner/deleted", 0) == 0 && futimens(deleted, times) == 0, "unlink");
  const int writing = open_at("written", O_WRONLY | O_CREAT | O_APPEND, 0600);
  need(write(writing, "before ", 7) == 7 && unlink("inner/written") == 0, "written");
  const int temporary = open_at(".", O_TMPFILE | O_RDWR, 0600);
  put(temporary, sizeof block, 5, 0);
  ready();
  wait_for(argv[1]);

  char name[64] = "", link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", memory);
  check(readlink(link, name, sizeof name - 1) > 0 && strcmp(name, "/memfd:big one (deleted)") == 0, "memfd is called %s", name);
  about(memory, 0640, 5LL << 30, modified, "memfd"), about(deleted, 0400, 20 << 20, modified, "deleted file");
  same(memory, SIZE, 1, 0, "memfd"), same(reading, sizeof block, 2, 1LL << 32, "end of the memfd");
  struct stat is;
  check(fstat(memory, &is) == 0 && is.st_blocks < 40960, "the holes of the memfd are filled: %lld blocks", (long long)is.st_blocks);
  check(lseek(memory, 0, SEEK_CUR) == 77 && lseek(reading, 0, SEEK_CUR) == 99, "positions");
  check(lseek(twin, 5, SEEK_SET) == 5 && lseek(memory, 0, SEEK_CUR) == 5, "the duplicate has a position of its own");
  check(pwrite(memory, "x", 1, 3) == 1 && pread(reading, name, 1, 3) == 1 && name[0] == 'x', "two openings are of two files");
  check(fcntl(memory, F_GETFD) & FD_CLOEXEC, "close-on-exec");
  check(write(reading, "x", 1) == -1 && errno == EBADF, "the reading end can write");
  check(fcntl(sealed, F_GET_SEALS) == seals, "seals %x", fcntl(sealed, F_GET_SEALS));
  same(sealed, sizeof block, 3, 0, "sealed");
  check(write(sealed, "x", 1) == -1 && errno == EPERM, "the seal is broken");
  check(fcntl(plain, F_GET_SEALS) == F_SEAL_SEAL, "seals of a memfd that forbids them: %x", fcntl(plain, F_GET_SEALS));

  same(other, SIZE, 4, 8 << 20, "deleted file");
  check(pwrite(deleted, "y", 1, 9) == 1 && pread(other, name, 1, 9) == 1 && name[0] == 'y', "two openings of the deleted file");
  check(fcntl(other, F_GETFL) & O_NONBLOCK, "flags");
  check(write(writing, "after", 5) == 5 && fstat(writing, &is) == 0 && is.st_size == 12, "appended: %lld", (long long)is.st_size);
  same(temporary, sizeof block, 5, 0, "O_TMPFILE");
  snprintf(link, sizeof link, "/proc/self/fd/%d", temporary);
  check(linkat(AT_FDCWD, link, AT_FDCWD, "inner/named", AT_SYMLINK_FOLLOW) == 0, "linkat: %s", strerror(errno));
  check(access("inner/named", R_OK) == 0 && access("inner/deleted", F_OK) != 0, "names");
  return verdict();
}
