/*
 * Threads: `threads GO [COUNT]`. Each has a name, a signal mask, thread-local data and a number of its own; some compute,
 * some wait for a condition, some sleep. Afterwards all go on: they are woken, signalled, joined, and new ones are made.
 */
#include "program.h"
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int over, running;
static volatile sig_atomic_t handled;
static __thread long mine = 7;

static void handler(int number) { (void)number; handled++; }

static void *work(void *argument) {
  const long index = (long)argument;
  char name[16], found[16];
  sigset_t mask, now;
  snprintf(name, sizeof name, "worker-%ld", index);
  prctl(PR_SET_NAME, name);
  sigemptyset(&mask), sigaddset(&mask, SIGRTMIN + (int)(index % 20));
  pthread_sigmask(SIG_BLOCK, &mask, NULL);
  mine = index * 1000;
  double value = index, expected = index;
  for (int i = 0; i < 100; i++) expected = expected * 1.0000001 + 1;
  pthread_mutex_lock(&lock);
  running++;
  pthread_cond_broadcast(&changed);
  while (!over && index % 3 == 0) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  for (int i = 0; i < 100; i++) value = value * 1.0000001 + 1;
  const struct timespec nap = {0, index > 30 ? 100000000 : 1000000}; // of a thousand few are busy
  while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
    if (index % 3 == 1 || index > 30) {
      const int result = nanosleep(&nap, NULL);
      // every fifth gets a signal at the end
      check(result == 0 || (errno == EINTR && index % 5 == 0), "thread %ld: nanosleep says %s", index, strerror(errno));
    }
    else for (volatile int spin = 0; spin < 20000; spin++);
  }
  prctl(PR_GET_NAME, found);
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  check(strcmp(name, found) == 0, "thread %ld is called %s", index, found);
  check(sigismember(&now, SIGRTMIN + (int)(index % 20)) == 1, "the signal mask of thread %ld", index);
  check(mine == index * 1000, "thread-local data of thread %ld: %ld", index, mine);
  check(value == expected, "what thread %ld computed: %g, not %g", index, value, expected);
  return (void *)(index + 1);
}

int main(int argc, char **argv) {
  const long count = argc > 2 ? atol(argv[2]) : 8;
  pthread_t *threads = calloc((size_t)count, sizeof *threads), another;
  pthread_attr_t small;
  need(argc >= 2 && threads != NULL, "usage: threads GO [COUNT]");
  signal(SIGUSR1, handler);
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, 65536);
  for (long i = 0; i < count; i++) need(pthread_create(&threads[i], &small, work, (void *)i) == 0, "a thread");
  pthread_mutex_lock(&lock);
  while (running < count) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  ready();
  wait_for(argv[1]);
  for (long i = 0; i < count; i += 5) check(pthread_kill(threads[i], SIGUSR1) == 0, "thread %ld takes no signal", i);
  pthread_mutex_lock(&lock);
  __atomic_store_n(&over, 1, __ATOMIC_RELEASE);
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  for (long i = 0; i < count; i++) {
    void *result = NULL;
    check(pthread_join(threads[i], &result) == 0 && result == (void *)(i + 1), "the end of thread %ld", i);
  }
  check(handled > 0, "no thread handled its signal");
  check(pthread_create(&another, NULL, work, (void *)99) == 0 && pthread_join(another, NULL) == 0, "a new thread");
  return verdict();
}
