/*
 * The demonstration of the RFC's later versions (v2 and on), which carry open files: `shared FILE`. It closes 0 and 2,
 * opens FILE, which thereby becomes fd 0, and duplicates that to 2: one open file under two numbers, with one offset. What
 * is written after a restart must stand where it stood after the checkpoint, over whatever the file holds by then.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  close(0);
  close(2);
  unlink(argv[1]);
  FILE *file = fopen(argv[1], "w+");
  if (!file || fileno(file) != 0 || dup2(0, 2) != 2) return 2;
  fprintf(file, "hello, world!\n");
  fflush(file);
  long ret = syscall(__NR_checkpoint, getpid(), STDOUT_FILENO, 0);
  if (ret < 0) {
    perror("checkpoint");
    return 1;
  }
  fprintf(file, "world, hello!\n(ret = %ld)\noffsets %s\n", ret, lseek(0, 0, SEEK_CUR) == lseek(2, 0, SEEK_CUR) ? "equal" : "differ");
  fflush(file);
  for (;;) {
  }
}
