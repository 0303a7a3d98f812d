/* Who is told that a descriptor is ready: `owners GO`. F_SETOWN, F_SETOWN_EX, F_SETSIG, O_ASYNC. */
#include "program.h"
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static volatile int signals[65], told[65], thread;
static void handler(int number, siginfo_t *info, void *context) {
  (void)context;
  signals[number]++, told[number] = info->si_fd;
  thread = (int)syscall(SYS_gettid);
}
static void *idle(void *id) {
  *(volatile int *)id = (int)syscall(SYS_gettid);
  for (;;) pause();
  return NULL;
}

static void async(int fd, int signal, int type, pid_t owner) {
  const struct f_owner_ex value = {type, owner};
  need(fcntl(fd, F_SETSIG, signal) == 0 && fcntl(fd, F_SETOWN_EX, &value) == 0, "F_SETOWN_EX");
  need(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC) == 0, "O_ASYNC");
}

static void wait_signal(int number, int count, const char *what) {
  for (int i = 0; i < 5000 && signals[number] < count; i++) nanosleep(&(struct timespec){0, 1000000}, NULL);
  check(signals[number] == count, "%s: %d signals, must be %d", what, signals[number], count);
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: owners GO");
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
  const int numbers[] = {SIGIO, SIGURG, SIGRTMIN + 1, SIGRTMIN + 2, SIGRTMIN + 3};
  for (int i = 0; i < 5; i++) need(sigaction(numbers[i], &action, NULL) == 0, "sigaction");
  static volatile int other;
  pthread_t id;
  need(pthread_create(&id, NULL, idle, (void *)(uintptr_t)&other) == 0, "pthread_create");
  while (other == 0) sched_yield();

  int plain[2], real_time[2], threads[2], pair[2], quiet[2];
  need(pipe(plain) == 0 && pipe(real_time) == 0 && pipe(threads) == 0 && pipe(quiet) == 0, "pipe");
  need(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, "socketpair");
  async(plain[0], 0, F_OWNER_PID, getpid()), async(real_time[0], SIGRTMIN + 1, F_OWNER_PID, getpid());
  async(threads[0], SIGRTMIN + 2, F_OWNER_TID, other), async(pair[0], SIGRTMIN + 3, F_OWNER_PID, getpid());
  need(fcntl(pair[1], F_SETOWN, getpid()) == 0, "F_SETOWN");
  const int twin = dup(real_time[0]);
  ready();
  for (struct timespec pause = {0, 2000000}; access(argv[1], F_OK) != 0;) nanosleep(&pause, NULL);

  struct f_owner_ex owner;
  check(signals[SIGIO] + signals[SIGURG] + signals[SIGRTMIN + 1] + signals[SIGRTMIN + 2] + signals[SIGRTMIN + 3] == 0, "a signal without a reason");
  check(fcntl(plain[0], F_GETOWN) == getpid() && fcntl(plain[0], F_GETSIG) == 0, "the plain owner");
  check(fcntl(twin, F_GETOWN_EX, &owner) == 0 && owner.type == F_OWNER_PID && owner.pid == getpid() && fcntl(twin, F_GETSIG) == SIGRTMIN + 1, "the owner by another descriptor");
  check(fcntl(threads[0], F_GETOWN_EX, &owner) == 0 && owner.type == F_OWNER_TID && owner.pid != getpid() && owner.pid > 0, "the thread as owner");
  check(fcntl(pair[1], F_GETOWN) == getpid() && !(fcntl(pair[1], F_GETFL) & O_ASYNC), "an owner without O_ASYNC");
  check(fcntl(plain[0], F_GETFL) & O_ASYNC && !(fcntl(quiet[0], F_GETFL) & O_ASYNC), "O_ASYNC");
  check(write(plain[1], "x", 1) == 1, "write"), wait_signal(SIGIO, 1, "SIGIO");
  check(write(real_time[1], "x", 1) == 1, "write"), wait_signal(SIGRTMIN + 1, 1, "the signal that was chosen");
  check(told[SIGRTMIN + 1] == real_time[0], "it tells of fd %d, must be %d", told[SIGRTMIN + 1], real_time[0]);
  check(write(threads[1], "x", 1) == 1, "write"), wait_signal(SIGRTMIN + 2, 1, "the signal to a thread");
  check(thread == owner.pid || thread != getpid(), "it went to thread %d", thread);
  check(write(pair[1], "x", 1) == 1, "write"), wait_signal(SIGRTMIN + 3, 1, "the signal of a socket");
  check(write(quiet[1], "x", 1) == 1 && signals[SIGIO] == 1, "a descriptor that does not signal");
  return verdict();
}
