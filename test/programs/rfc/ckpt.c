/* Checkpoints itself to its standard output, says what the call returned, then spins until it is killed. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void) {
  long ret = syscall(__NR_checkpoint, getpid(), STDOUT_FILENO, 0);

  if (ret < 0) perror("checkpoint");
  fprintf(stderr, "hello, world! (ret=%ld)\n", ret);
  for (;;) {
  }
}
