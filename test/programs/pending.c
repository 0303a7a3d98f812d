/*
 * Signals that wait: `pending GO`. For the process and for the thread alone, queued real-time ones in order, each with its
 * siginfo; also of an ended child, of one that is ignored, and SIGTRAP, which our own machinery uses.
 */
#include "program.h"
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MOST = 64 };
static siginfo_t expected[MOST], found[MOST];
static sigset_t all;

static int same(const siginfo_t *a, const siginfo_t *b) {
  if (a->si_signo == SIGCHLD && a->si_code == CLD_EXITED) return b->si_signo == SIGCHLD && b->si_code == CLD_EXITED && b->si_status == 7;
  return memcmp(a, b, sizeof *a) == 0;
}

static void put(void) {
  const pid_t pid = getpid();
  siginfo_t odd;
  need(sigqueue(pid, SIGRTMIN + 2, (union sigval){.sival_ptr = (void *)0x1122334455667788}) == 0, "sigqueue");
  for (int i = 0; i < 20; i++) need(sigqueue(pid, SIGRTMIN + 1 + i % 2, (union sigval){.sival_int = 1000 - i}) == 0, "sigqueue");
  need(kill(pid, SIGRTMIN + 1) == 0, "kill");
  need(kill(pid, SIGUSR1) == 0, "kill");
  need(syscall(SYS_tgkill, pid, gettid(), SIGUSR1) == 0, "tgkill");
  need(syscall(SYS_tgkill, pid, gettid(), SIGTRAP) == 0, "tgkill");
  need(kill(pid, SIGTRAP) == 0 && kill(pid, SIGTERM) == 0 && kill(pid, SIGTSTP) == 0 && kill(pid, SIGWINCH) == 0, "kill");
  memset(&odd, 0, sizeof odd);
  odd.si_code = SI_ASYNCIO, odd.si_errno = 77, odd.si_pid = 4711, odd.si_uid = 42, odd.si_value.sival_ptr = &odd;
  need(syscall(SYS_rt_sigqueueinfo, pid, SIGRTMAX, &odd) == 0, "rt_sigqueueinfo");
  odd.si_code = SI_SIGIO, odd.si_fd = 5, odd.si_band = 65;
  need(syscall(SYS_rt_tgsigqueueinfo, pid, gettid(), SIGRTMAX, &odd) == 0, "rt_tgsigqueueinfo");
  const pid_t child = fork();
  if (child == 0) _exit(7);
  need(child > 0 && waitpid(child, NULL, 0) == child, "child"); /* SIGCHLD waits on */
}

static int take(siginfo_t *into) {
  int count = 0;
  while (count < MOST && sigtimedwait(&all, &into[count], &(struct timespec){0, 0}) > 0) count++;
  return count;
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: pending GO");
  sigfillset(&all);
  need(sigprocmask(SIG_SETMASK, &all, NULL) == 0, "sigprocmask");
  need(signal(SIGWINCH, SIG_IGN) != SIG_ERR, "signal");
  put();
  const int count = take(expected);
  need(count >= 30, "not all of them came");
  put();

  ready();
  wait_for(argv[1]);

  const int now = take(found);
  check(now == count, "%d signals wait, must be %d", now, count);
  for (int i = 0; i < now && i < count; i++)
    check(same(&expected[i], &found[i]), "the %d. signal is %d code %d value %p, must be %d code %d value %p", i, found[i].si_signo, found[i].si_code,
          found[i].si_value.sival_ptr, expected[i].si_signo, expected[i].si_code, expected[i].si_value.sival_ptr);
  return verdict();
}
