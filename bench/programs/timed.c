/*
 * `timed COMMAND ARGUMENT…` runs a command and prints, on its last line of stderr, `timed MILLISECONDS KIBIBYTES STATUS`:
 * wall clock from before the start until the end, peak resident memory, exit status. Nothing of ours lies in between.
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(int argc, char **argv) {
  struct rusage usage;
  pid_t pid;
  int status;
  if (argc < 2) return 2;
  const double start = now();
  if (posix_spawnp(&pid, argv[1], NULL, NULL, argv + 1, environ) != 0) return 127;
  if (wait4(pid, &status, 0, &usage) != pid) return 1;
  const double end = now();
  fprintf(stderr, "timed %.3f %ld %d\n", end - start, usage.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  return 0;
}
