/*
 * Interval timers: `itimers GO`. One of real time that fires while the program waits for GO, again and again; those of
 * processor time with what is left of them; then alarm. A signal of a periodic one that waits starts the next period when it is taken.
 */
#include "program.h"
#include <signal.h>
#include <sys/time.h>

static volatile int alarms, virtuals, profs;
static void count(int number) { number == SIGALRM ? alarms++ : number == SIGVTALRM ? virtuals++ : profs++; }

static double left(int which, double *interval) {
  struct itimerval now;
  need(getitimer(which, &now) == 0, "getitimer");
  *interval = now.it_interval.tv_sec + now.it_interval.tv_usec / 1e6;
  return now.it_value.tv_sec + now.it_value.tv_usec / 1e6;
}

static void set(int which, double value, double interval) {
  struct itimerval timer = {{(long)interval, (long)((interval - (long)interval) * 1e6 + 0.5)}, {(long)value, (long)((value - (long)value) * 1e6 + 0.5)}};
  need(setitimer(which, &timer, NULL) == 0, "setitimer");
}

/* Until it has happened, or for 20 s of real time. */
static void spin_until(volatile int *what, int value) {
  for (const double end = now_ms() + 20000; *what < value && now_ms() < end;);
}

int main(int argc, char **argv) {
  double interval;
  sigset_t alarm_only;
  need(argc == 2, "usage: itimers GO");
  signal(SIGALRM, count), signal(SIGVTALRM, count), signal(SIGPROF, count);
  sigemptyset(&alarm_only), sigaddset(&alarm_only, SIGALRM);
  set(ITIMER_VIRTUAL, 3000.5, 7.25);
  set(ITIMER_PROF, 3600.25, 0);
  sigprocmask(SIG_BLOCK, &alarm_only, NULL);
  set(ITIMER_REAL, 0.001, 3600.125); /* fires now, once; its signal waits */
  for (sigset_t waits; sigpending(&waits) == 0 && !sigismember(&waits, SIGALRM););

  ready();
  wait_for(argv[1]);

  double rest = left(ITIMER_VIRTUAL, &interval);
  check(interval == 7.25 && rest <= 3000.51 && rest > 3000.5 - 20, "ITIMER_VIRTUAL: %f left, interval %f", rest, interval);
  rest = left(ITIMER_PROF, &interval);
  check(interval == 0 && rest <= 3600.26 && rest > 3600.25 - 20, "ITIMER_PROF: %f left, interval %f", rest, interval);
  rest = left(ITIMER_REAL, &interval);
  check(rest == 0 && interval == 3600.125, "ITIMER_REAL, its signal not taken: %f left, interval %f", rest, interval);
  sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
  check(alarms == 1, "%d alarms, must be 1", alarms);
  rest = left(ITIMER_REAL, &interval);
  check(rest > 3600.125 - 60 && rest <= 3600.126 && interval == 3600.125, "ITIMER_REAL, its signal taken: %f left, interval %f", rest, interval);

  set(ITIMER_REAL, 0.02, 0.01), set(ITIMER_VIRTUAL, 0.02, 0.01), set(ITIMER_PROF, 0.02, 0);
  alarms = 0;
  spin_until(&alarms, 3), spin_until(&virtuals, 2), spin_until(&profs, 1);
  check(alarms >= 3 && virtuals >= 2 && profs == 1, "%d alarms, %d virtual, %d prof", alarms, virtuals, profs);
  return verdict();
}
