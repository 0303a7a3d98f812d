/*
 * Reads from descriptor 7, and from its duplicate 9: `skipped GO`. Says what it got: bytes and how many, or the errno.
 * test/golden/skipped.image is a checkpoint of it with --skip-fd 7 (built with -static -Os, streams from /dev/null).
 */
#include "program.h"

int main(int argc, char **argv) {
  need(argc == 2 && dup2(7, 9) == 9, "usage: skipped GO 7<FILE");
  ready();
  wait_for(argv[1]);
  for (int fd = 7; fd <= 9; fd += 2) {
    char text[4] = "";
    const ssize_t got = read(fd, text, 3);
    printf("%d: %zd %s\n", fd, got < 0 ? -errno : got, text);
  }
  return verdict();
}
