/*
 * Has a unix socket and something that waits in it, and checkpoints itself to its standard output: the source of
 * test/golden/unix.image. Build: gcc -static -Os -I include -o golden golden-unix.c. Run: true | stasis run -- ./golden > FILE.
 */
#include <sys/socket.h>
#include <unistd.h>
#include "stasis.h"

int main(void) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || write(ends[0], "golden", 6) != 6) return 1;
  return checkpoint(0, STDOUT_FILENO, 0) < 0;
}
