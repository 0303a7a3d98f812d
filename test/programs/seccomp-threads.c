/*
 * Seccomp filters that all threads share: `seccomp-threads GO`. Afterwards one thread can still install another filter for all
 * of them, which the kernel allows only where they have the very same filters.
 */
#include "program.h"
#include <pthread.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

enum { THREADS = 3 };
static volatile int phase, seen[THREADS];
static volatile long answers[THREADS];

/* `number` fails with errno `code` from now on, in all threads. */
static long forbid(int number, int code) {
  struct sock_filter instructions[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)code),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const struct sock_fprog program = {sizeof instructions / sizeof *instructions, instructions};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
}

static void *ask(void *place) {
  const long me = (long)place;
  while (phase >= 0) {
    if (seen[me] != phase) {
      answers[me] = syscall(SYS_getppid) == -1 ? errno : 0;
      if (phase == 2) answers[me] = answers[me] * 100 + (syscall(SYS_getpgrp) == -1 ? errno : 0);
      __sync_synchronize();
      seen[me] = phase;
    }
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  return NULL;
}

static void expect(int now, long answer) {
  phase = now;
  for (long i = 0; i < THREADS; i++) {
    while (seen[i] != now) nanosleep(&(struct timespec){0, 1000000}, NULL);
    check(answers[i] == answer, "phase %d, thread %ld: %ld, must be %ld", now, i, answers[i], answer);
  }
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  need(argc == 2, "usage: seccomp-threads GO");
  for (long i = 0; i < THREADS; i++) need(pthread_create(&threads[i], NULL, ask, (void *)i) == 0, "pthread_create");
  need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  need(forbid(SYS_getppid, 61) == 0 && forbid(SYS_getppid, 62) == 0, "filters");
  expect(1, 62);

  ready();
  wait_for(argv[1]);

  phase = 0;
  expect(3, 62);
  const long result = forbid(SYS_getpgrp, 63);
  check(result == 0, "a filter for all threads: %ld", result);
  expect(2, 6263);
  return verdict();
}
