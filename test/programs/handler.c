/*
 * A task inside handlers: `handler GO`. It waits in one that runs on the alternate stack, called from another one on the
 * ordinary stack, with signals blocked by both; then both return, and everything is as it was before the signals.
 */
#include "program.h"
#include <setjmp.h>
#include <signal.h>

static const char *go;
static pid_t self;
static char place[65536];
static volatile int inner_done, outer_done;
static sigjmp_buf back;

static int blocked(int number) {
  sigset_t set;
  sigprocmask(SIG_BLOCK, NULL, &set);
  return sigismember(&set, number);
}

static void inner(int number, siginfo_t *info, void *context) {
  char here;
  stack_t now, other = {.ss_sp = place, .ss_size = sizeof place};
  ucontext_t *const interrupted = context;
  ready();
  wait_for(go);
  check(number == SIGUSR2 && info->si_pid == self, "siginfo: signal %d from %d", number, (int)info->si_pid);
  check(&here >= place && &here < place + sizeof place, "not on the alternate stack");
  check(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK && now.ss_sp == place, "sigaltstack: flags %d", now.ss_flags);
  check(sigaltstack(&other, NULL) == -1 && errno == EPERM, "the alternate stack can be changed while it is in use");
  check(blocked(SIGUSR1) && blocked(SIGUSR2) && blocked(SIGTERM) && !blocked(SIGHUP), "blocked in the inner handler");
  check(sigismember(&interrupted->uc_sigmask, SIGUSR1) && !sigismember(&interrupted->uc_sigmask, SIGTERM), "mask to return to");
  inner_done = 1;
}

static void outer(int number) {
  (void)number;
  raise(SIGUSR2);
  check(inner_done && blocked(SIGUSR1) && !blocked(SIGUSR2) && !blocked(SIGTERM), "blocked after the inner handler");
  outer_done++;
}

static void jumper(int number) { siglongjmp(back, number); }

int main(int argc, char **argv) {
  need(argc == 2, "usage: handler GO");
  go = argv[1];
  self = getpid(); /* a restart gives it another */
  stack_t alternate = {.ss_sp = place, .ss_size = sizeof place}, now;
  struct sigaction act = {.sa_sigaction = inner, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  need(sigaltstack(&alternate, NULL) == 0, "sigaltstack");
  sigaddset(&act.sa_mask, SIGTERM);
  need(sigaction(SIGUSR2, &act, NULL) == 0 && signal(SIGUSR1, outer) != SIG_ERR, "sigaction");
  volatile double sum = 0.1;
#ifdef __x86_64__
  register uint64_t word __asm__("r12") = 0x123456789abcdef;
#else
  register uint32_t word __asm__("esi") = 0x1234567;
#endif
  const uint64_t held = word;
  __asm__ volatile("" : "+r"(word));
  raise(SIGUSR1);
  __asm__ volatile("" : "+r"(word));
  check(outer_done == 1 && word == held && sum == 0.1, "after the handlers");
  check(!blocked(SIGUSR1) && !blocked(SIGUSR2) && !blocked(SIGTERM), "blocked after the handlers");
  check(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0, "alternate stack: flags %d", now.ss_flags);
  act.sa_handler = jumper, act.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR2, &act, NULL);
  if (sigsetjmp(back, 1) == 0) raise(SIGUSR2), check(0, "no jump out of a handler");
  check(sigaltstack(NULL, &now) == 0 && now.ss_flags == 0 && !blocked(SIGUSR2), "after a jump out of a handler");
  return verdict();
}
