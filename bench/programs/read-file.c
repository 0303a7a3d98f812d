/* The reference for a restart: `read-file FILE` read()s the file into fresh memory, 1 MiB at a time. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char **argv) {
  struct stat about;
  const int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
  if (fd < 0 || fstat(fd, &about) != 0) return 2;
  const size_t size = (size_t)about.st_size, step = 1 << 20;
  char *memory = malloc(size);
  if (memory == NULL) return 2;
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got = read(fd, memory + filled, size - filled < step ? size - filled : step);
    if (got <= 0) return 1;
    filled += (size_t)got;
  }
  return 0;
}
