/*
 * Has what a process keeps in the kernel beside memory and files, and checkpoints itself to its standard output: the
 * source of test/golden/revision-1-state.image. Build and run as golden.c says.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include "stasis.h"

int main(void) {
  sigset_t all;
  int id;
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 40, .sigev_value.sival_int = 7};
  const struct itimerspec hour = {{60, 0}, {3600, 0}};
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, 0) != 0 || sigqueue(getpid(), 41, event.sigev_value) != 0 || raise(SIGUSR1) != 0) return 1;
  if (setitimer(ITIMER_REAL, &(struct itimerval){{60, 0}, {3600, 0}}, 0) != 0) return 1;
  if (syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id) != 0 || syscall(SYS_timer_settime, id, 0, &hour, 0) != 0) return 1;
  if (syscall(SYS_membarrier, 1 << 4, 0, 0) != 0) return 1;
  static char selector;
  if (prctl(59, 1, 0, 0, &selector) != 0) return 1; /* PR_SET_SYSCALL_USER_DISPATCH */
  struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &(struct sock_fprog){1, &allow}) != 0) return 1;
  return checkpoint(0, STDOUT_FILENO, 0) < 0;
}
