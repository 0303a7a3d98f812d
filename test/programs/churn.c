/* Threads that come and go all the time: `churn GO`. Each counts, each is joined with its result. */
#include "program.h"
#include <pthread.h>

static long begun, joined;
static volatile int over;

static void *leaf(void *argument) {
  __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
  return (char *)argument + 1;
}

static void *maker(void *argument) {
  (void)argument;
  while (!over) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) need(pthread_create(&threads[i], NULL, leaf, (void *)i) == 0, "a thread");
    for (long i = 0; i < 4; i++) {
      void *result = NULL;
      check(pthread_join(threads[i], &result) == 0 && result == (void *)(i + 1), "the result of a thread");
      __atomic_fetch_add(&joined, 1, __ATOMIC_RELAXED);
    }
    usleep(100);
  }
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t makers[3];
  need(argc == 2, "usage: churn GO");
  for (int i = 0; i < 3; i++) need(pthread_create(&makers[i], NULL, maker, NULL) == 0, "a maker");
  ready();
  wait_for(argv[1]);
  over = 1;
  for (int i = 0; i < 3; i++) pthread_join(makers[i], NULL);
  check(begun == joined && begun > 0, "%ld threads began, %ld were joined", begun, joined);
  return verdict();
}
