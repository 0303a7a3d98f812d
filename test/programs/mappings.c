/*
 * Every kind of mapping: `mappings GO DIRECTORY`. Contents and protections must come back, and /proc/self/smaps must list
 * the same mappings with the same flags.
 */
#include "program.h"
#include <sys/mman.h>

enum { PAGE = 4096 };
static const size_t TIB = (size_t)1 << (sizeof(size_t) == 8 ? 40 : 29); /* or half a GiB, of three */
static char smaps_before[1 << 18], smaps_after[1 << 18]; /* static: reading them makes no new mapping */

static char *map(size_t size, int protection, int flags, int fd) {
  char *place = mmap(NULL, size, protection, flags, fd, 0);
  need(place != MAP_FAILED, "mmap");
  return place;
}

static int file(const char *directory, const char *name, size_t size) {
  char path[4096];
  static uint64_t content[16 * PAGE / 8];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  need(fd >= 0, path);
  fill(content, sizeof content, 5);
  need(write(fd, content, size) == (ssize_t)size, "write");
  return fd;
}

/* The header and VmFlags lines of smaps. `sd` (soft-dirty) is left out: it says what was written since somebody asked. */
static void read_smaps(char *into, size_t size) {
  static char all[1 << 20];
  size_t length = 0, used = 0;
  ssize_t got;
  int fd = open("/proc/self/smaps", O_RDONLY);
  while ((got = read(fd, all + length, sizeof all - 1 - length)) > 0) length += (size_t)got;
  close(fd);
  all[length] = 0;
  for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n")) {
    char *soft_dirty = strstr(line, " sd");
    const int flags = strncmp(line, "VmFlags:", 8) == 0;
    if (!flags && (line[0] >= 'A' && line[0] <= 'Z')) continue;
    if (flags && soft_dirty) memmove(soft_dirty, soft_dirty + 3, strlen(soft_dirty + 3) + 1);
    used += (size_t)snprintf(into + used, size - used, "%s%s", line, flags ? "\n" : " ");
  }
}

static void compare_smaps(void) {
  char *before = smaps_before, *after = smaps_after;
  while (*before || *after) {
    const size_t left = strcspn(before, "\n"), right = strcspn(after, "\n");
    if (left != right || memcmp(before, after, left) != 0) {
      check(0, "smaps, first of them\n  was %.*s\n  is  %.*s", (int)left, before, (int)right, after);
      return;
    }
    before += left + (before[left] != 0), after += right + (after[right] != 0);
  }
}

/* Whether the kernel could read, or write, a byte there on our behalf. No signal is involved. */
static int readable(const char *place) { return access(place, F_OK) == 0 || errno != EFAULT; }
static int writable(char *place) {
  int fd = open("/dev/zero", O_RDONLY), yes = read(fd, place, 1) == 1;
  close(fd);
  return yes;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: mappings GO DIRECTORY");
  const int private_fd = file(argv[2], "private", 10 * PAGE + 100), shared_fd = file(argv[2], "shared", 4 * PAGE);
  char *private = map(11 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, private_fd);
  fill(private + 3 * PAGE, PAGE, 33), fill(private + 7 * PAGE, PAGE, 77);
  char *mixed = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, private_fd);
  fill(mixed + 2 * PAGE, PAGE, 22);
  need(mprotect(mixed + 2 * PAGE, 3 * PAGE, PROT_READ) == 0, "mprotect");
  char *shared = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd);
  fill(shared + PAGE, PAGE, 11);
  char *shared_view = map(4 * PAGE, PROT_READ, MAP_SHARED, shared_fd);
  char *none = map(1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  char *once_written = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  fill(once_written, 4 * PAGE, 44);
  need(mprotect(once_written, 4 * PAGE, PROT_READ) == 0, "mprotect");
  char *hidden = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  fill(hidden, 4 * PAGE, 55);
  need(mprotect(hidden, 4 * PAGE, PROT_NONE) == 0, "mprotect");
  char *huge = map(TIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
  fill(huge, PAGE, 1), fill(huge + TIB / 2, PAGE, 2), fill(huge + TIB - PAGE, PAGE, 3);
  char *zeros = map(64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  memset(zeros, 0, 16 * PAGE);
  volatile char seen = 0;
  for (int i = 16; i < 32; i++) seen += zeros[i * PAGE];
  unsigned char *code = (unsigned char *)map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  memcpy(code, "\xb8\x2a\x00\x00\x00\xc3", 6); /* mov $42, %eax; ret */
  need(mprotect(code, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect");
  int (*function)(void);
  memcpy(&function, &code, sizeof function);
  close(private_fd), close(shared_fd);

  ready(); /* stdio has its buffer from here on */
  read_smaps(smaps_before, sizeof smaps_before);
  wait_for(argv[1]);
  read_smaps(smaps_after, sizeof smaps_after);
  compare_smaps();

  static uint64_t original[16 * PAGE / 8];
  fill(original, sizeof original, 5);
  for (int page = 0; page < 10; page++)
    check(page == 3 || page == 7 ? wrong(private + page * PAGE, PAGE, page == 3 ? 33 : 77) == 0
                                 : memcmp(private + page * PAGE, (char *)original + page * PAGE, PAGE) == 0,
          "page %d of the private file mapping", page);
  check(memcmp(private + 10 * PAGE, (char *)original + 10 * PAGE, 100) == 0 && private[10 * PAGE + 100] == 0, "its partial page");
  check(wrong(mixed + 2 * PAGE, PAGE, 22) == 0 && !writable(mixed + 2 * PAGE) && writable(mixed + 5 * PAGE), "the mixed mapping");
  check(wrong(shared + PAGE, PAGE, 11) == 0 && memcmp(shared, original, PAGE) == 0, "the shared file mapping");
  fill(shared + 2 * PAGE, PAGE, 99);
  check(wrong(shared_view + 2 * PAGE, PAGE, 99) == 0, "the other view of the shared file does not see a write");
  check(!writable(shared_view), "the read-only view can be written");
  check(!readable(none) && !readable(none + (1 << 20) - 1), "PROT_NONE can be read");
  check(wrong(once_written, 4 * PAGE, 44) == 0 && !writable(once_written), "the mapping made read-only");
  check(!readable(hidden) && mprotect(hidden, 4 * PAGE, PROT_READ) == 0 && wrong(hidden, 4 * PAGE, 55) == 0, "the hidden mapping");
  check(wrong(huge, PAGE, 1) == 0 && wrong(huge + TIB / 2, PAGE, 2) == 0 && wrong(huge + TIB - PAGE, PAGE, 3) == 0, "the reservation");
  check(huge[TIB / 4] == 0 && writable(huge + TIB / 4 * 3), "a fresh page of the reservation");
  for (int i = 0; i < 64 * PAGE; i++)
    if (zeros[i]) check(0, "byte %d of the zero pages", i), i = 64 * PAGE;
  check(function() == 42 && !writable((char *)code), "the code page");
  return verdict();
}
