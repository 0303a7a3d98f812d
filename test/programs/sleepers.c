/*
 * Threads asleep with a time limit: `sleepers GO COUNT MILLISECONDS TOLERANCE`. Each is in another of the calls that the kernel
 * continues by restart_syscall, each as long as the next, and none may end early, late, or by EINTR. The file GO then tells how many
 * milliseconds the program did not exist: its sleeps end that much later.
 */
#include "program.h"
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

static int milliseconds, word;
static double ended[1024], begun;

static void *nap(void *argument) {
  const long index = (long)argument;
  const int mine = milliseconds + (int)index * 5;
  const struct timespec limit = {mine / 1000, mine % 1000 * 1000000L};
  long result = 0;
  switch (index % 4) {
    case 0: result = syscall(SYS_nanosleep, &limit, NULL); break;
    case 1: result = syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &limit, NULL); break;
    case 2: result = poll(NULL, 0, mine); break;
    case 3: result = syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &limit); break;
  }
  ended[index] = now_ms();
  check(result == (index % 4 == 3 ? -1 : 0), "thread %ld: %s", index, strerror(errno));
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[1024];
  double away = 0;
  need(argc == 5, "usage: sleepers GO COUNT MILLISECONDS TOLERANCE");
  const long count = atol(argv[2]);
  milliseconds = atoi(argv[3]);
  begun = now_ms();
  for (long i = 0; i < count; i++) need(pthread_create(&threads[i], NULL, nap, (void *)i) == 0, "a thread");
  ready();
  for (long i = 0; i < count; i++) pthread_join(threads[i], NULL);
  wait_for(argv[1]);
  FILE *file = fopen(argv[1], "r");
  need(file != NULL && fscanf(file, "%lf", &away) == 1, "the file GO");
  for (long i = 0; i < count; i++) {
    const double late = ended[i] - begun - milliseconds - i * 5 - away;
    check(late > -atoi(argv[4]) && late < atoi(argv[4]), "thread %ld ended %.0f ms late", i, late);
  }
  return verdict();
}
