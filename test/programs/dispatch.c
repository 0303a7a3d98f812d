/*
 * Syscall user dispatch: `dispatch GO [blocked]`. Calls become SIGSYS when a byte says so, which this program says only when it is
 * over; or (to be refused) while it spins.
 */
#include "program.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define DISPATCH 59 /* PR_SET_SYSCALL_USER_DISPATCH */
static volatile char selector;
static volatile int came, number, code;

static void on_sigsys(int signal, siginfo_t *info, void *context) {
  (void)signal, (void)context;
  selector = 0; /* allow */
  came++, number = info->si_syscall, code = info->si_code;
}

int main(int argc, char **argv) {
  need(argc >= 2, "usage: dispatch GO [blocked]");
  struct sigaction act = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
  need(sigaction(SIGSYS, &act, NULL) == 0, "sigaction");
  need(prctl(DISPATCH, 1, 0, 0, &selector) == 0, "PR_SET_SYSCALL_USER_DISPATCH");
  ready();
  if (argc > 2) {
    const double end = now_ms() + 4000; /* by the vdso, no call */
    selector = 1;
    while (now_ms() < end) continue;
    selector = 0;
  }
  wait_for(argv[1]);
  check(came == 0, "SIGSYS came %d times", came);
  selector = 1; /* block */
  syscall(SYS_getppid);
  selector = 0;
  check(came == 1 && number == SYS_getppid && code == 2, "SIGSYS: %d times, call %d, code %d", came, number, code);
  return verdict();
}
