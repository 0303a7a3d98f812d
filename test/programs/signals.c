/* Signal dispositions with flags and masks, the blocked mask, the alternate stack: `signals GO`. They must still work. */
#include "program.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

struct kernel_sigaction { unsigned long handler, flags, restorer, mask; }; /* as rt_sigaction has it on x86-64 */
static struct kernel_sigaction before[65];
static volatile int calls[65], inside_mask_right, on_alternate;
static volatile pid_t sender;
static stack_t alternate;

static void plain(int number) { calls[number]++; }

static void with_info(int number, siginfo_t *info, void *context) {
  sigset_t now;
  (void)context;
  calls[number]++;
  sender = info->si_pid;
  sigprocmask(SIG_BLOCK, NULL, &now);
  inside_mask_right = sigismember(&now, SIGUSR2) && sigismember(&now, SIGQUIT) && sigismember(&now, number) && !sigismember(&now, SIGINT);
}

static void elsewhere(int number) {
  char here;
  calls[number]++;
  on_alternate = &here >= (char *)alternate.ss_sp && &here < (char *)alternate.ss_sp + alternate.ss_size;
}

static void install(int number, void (*handler)(int), int flags, int masked1, int masked2) {
  struct sigaction action = {.sa_flags = flags};
  action.sa_handler = handler;
  sigemptyset(&action.sa_mask);
  if (masked1) sigaddset(&action.sa_mask, masked1);
  if (masked2) sigaddset(&action.sa_mask, masked2);
  need(sigaction(number, &action, NULL) == 0, "sigaction");
}

int main(int argc, char **argv) {
  sigset_t blocked, blocked_after, pending;
  stack_t stack_after;
  need(argc >= 2, "usage: signals GO");
  alternate.ss_size = 65536;
  alternate.ss_sp = mmap(NULL, alternate.ss_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(sigaltstack(&alternate, NULL) == 0, "sigaltstack");
  install(SIGUSR1, (void (*)(int))(void *)with_info, SA_SIGINFO | SA_RESTART, SIGUSR2, SIGQUIT);
  install(SIGUSR2, SIG_IGN, 0, 0, 0);
  install(SIGWINCH, elsewhere, SA_ONSTACK | SA_NODEFER, 0, 0);
  install(SIGCHLD, SIG_IGN, SA_NOCLDWAIT | SA_NOCLDSTOP, 0, 0);
  install(SIGHUP, plain, SA_RESETHAND, 0, 0);
  install(SIGTERM, plain, SA_RESTART, SIGINT, 0);
  install(SIGRTMIN + 3, plain, 0, SIGRTMIN + 4, SIGHUP);
  install(SIGRTMAX, plain, SA_RESTART | SA_NODEFER, 0, 0);
  install(SIGSEGV, plain, SA_ONSTACK | SA_RESETHAND, 0, 0);
  sigemptyset(&blocked), sigaddset(&blocked, SIGTERM), sigaddset(&blocked, SIGRTMIN + 1);
  sigprocmask(SIG_SETMASK, &blocked, NULL);
  for (int i = 1; i <= 64; i++) syscall(SYS_rt_sigaction, i, NULL, &before[i], 8);

  ready();
  wait_for(argv[1]);

  for (int i = 1; i <= 64; i++) {
    struct kernel_sigaction now = {0};
    syscall(SYS_rt_sigaction, i, NULL, &now, 8);
    check(memcmp(&now, &before[i], sizeof now) == 0, "signal %d: handler %lx flags %lx mask %lx, must be %lx %lx %lx", i, now.handler,
          now.flags, now.mask, before[i].handler, before[i].flags, before[i].mask);
    check(calls[i] == 0, "signal %d came %d times, nobody sent it", i, calls[i]);
  }
  sigprocmask(SIG_BLOCK, NULL, &blocked_after);
  for (int i = 1; i <= 64; i++) check(sigismember(&blocked, i) == sigismember(&blocked_after, i), "signal %d in the blocked mask", i);
  sigpending(&pending);
  for (int i = 1; i <= 64; i++) check(sigismember(&pending, i) != 1, "signal %d is pending, nobody sent it", i);
  sigaltstack(NULL, &stack_after);
  check(stack_after.ss_sp == alternate.ss_sp && stack_after.ss_size == alternate.ss_size && stack_after.ss_flags == 0, "alternate stack");

  raise(SIGUSR1);
  check(calls[SIGUSR1] == 1 && inside_mask_right && sender == getpid(), "SIGUSR1: %d calls, mask right %d, sender %d", calls[SIGUSR1],
        inside_mask_right, (int)sender);
  raise(SIGUSR2), raise(SIGCHLD), raise(SIGWINCH);
  check(calls[SIGWINCH] == 1 && on_alternate, "SIGWINCH: %d calls, on the alternate stack %d", calls[SIGWINCH], on_alternate);
  kill(getpid(), SIGTERM);
  check(calls[SIGTERM] == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGTERM), "SIGTERM is not held back");
  sigdelset(&blocked, SIGTERM), sigprocmask(SIG_SETMASK, &blocked, NULL);
  check(calls[SIGTERM] == 1, "SIGTERM after unblocking: %d calls", calls[SIGTERM]);
  raise(SIGHUP), raise(SIGRTMAX), raise(SIGRTMAX), raise(SIGRTMIN + 3);
  syscall(SYS_rt_sigaction, SIGHUP, NULL, &before[0], 8);
  check(calls[SIGHUP] == 1 && before[0].handler == 0, "SIGHUP: not reset to its default by its first call");
  check(calls[SIGRTMAX] == 2 && calls[SIGRTMIN + 3] == 1, "real-time signals");
  return verdict();
}
