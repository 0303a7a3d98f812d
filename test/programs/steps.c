/*
 * A checked sequence of short blocking calls, for as long as GO is absent: `steps GO`. sleeps, polls, selects, a futex,
 * reads from fd 0 if that is a pipe on which somebody keeps writing. Prints `N VALUE` after each round. No signal comes:
 * a call that says EINTR, or a sleep that ends early, prints `error` and ends the program.
 */
#include "program.h"
#include <linux/futex.h>
#include <poll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static void expect(int holds, const char *call, long result) {
  if (holds) return;
  printf("error: %s gave %ld (%s)\n", call, result, strerror(errno));
  fflush(stdout);
  exit(1);
}

int main(int argc, char **argv) {
  static int word;
  uint64_t value = 1;
  struct stat input;
  need(argc >= 2, "usage: steps GO");
  const int has_pipe = fstat(0, &input) == 0 && S_ISFIFO(input.st_mode);
  ready();
  for (unsigned long round = 1; access(argv[1], F_OK) != 0; round++) {
    const struct timespec sleep = {0, 3000000}, limit = {0, 2000000};
    struct timeval time = {0, 2000};
    char line[64], byte;
    double start = now_ms();
    long result = nanosleep(&sleep, NULL);
    expect(result == 0 && now_ms() - start >= 3, "nanosleep", result);
    start = now_ms();
    result = poll(NULL, 0, 3);
    expect(result == 0 && now_ms() - start >= 3, "poll", result);
    start = now_ms();
    result = select(0, NULL, NULL, NULL, &time);
    expect(result == 0 && now_ms() - start >= 2, "select", result);
    start = now_ms();
    result = syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &limit);
    expect(result == -1 && errno == ETIMEDOUT && now_ms() - start >= 2, "futex", result);
    if (has_pipe) {
      result = read(0, &byte, 1);
      expect(result == 1 && byte == 'x', "read", result);
    }
    for (int i = 0; i < 20000; i++) value = next(value);
    int length = snprintf(line, sizeof line, "%lu %016llx\n", round, (unsigned long long)value);
    result = write(1, line, (size_t)length);
    expect(result == length, "write", result);
  }
  return verdict();
}
