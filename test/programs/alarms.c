/*
 * Timers that fire while the program exists: `alarms GO`. alarm in 1 s, and a POSIX timer every 50 ms, in a program that
 * counts them. What GO holds is for how many ms it did not exist: the alarm comes that much later, no earlier.
 */
#include "program.h"
#include <signal.h>
#include <sys/time.h>

static volatile double alarm_at;
static volatile int ticks;
static void on_alarm(int number) { (void)number, alarm_at = now_ms(); }
static void on_tick(int number) { (void)number, ticks++; }

int main(int argc, char **argv) {
  need(argc == 2, "usage: alarms GO");
  timer_t timer;
  const struct itimerspec every = {{0, 50000000}, {0, 50000000}};
  struct sigaction act = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &act, NULL);
  act.sa_handler = on_tick;
  sigaction(SIGRTMIN, &act, NULL);
  need(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN}, &timer) == 0, "timer_create");
  need(timer_settime(timer, 0, &every, NULL) == 0, "timer_settime");
  const double begin = now_ms();
  need(setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {1, 500000}}, NULL) == 0, "setitimer");
  ready();
  FILE *file;
  double outage = 0;
  while ((file = fopen(argv[1], "r")) == NULL) nanosleep(&(struct timespec){0, 2000000}, NULL);
  if (fscanf(file, "%lf", &outage) != 1) outage = 0;
  fclose(file);
  const int before = ticks;
  const double late_by = now_ms();
  while (alarm_at == 0 && now_ms() < late_by + 20000) nanosleep(&(struct timespec){0, 2000000}, NULL);
  const double late = alarm_at - begin - outage - 1500;
  check(alarm_at != 0 && late > -400 && late < 600, "the alarm came %.0f ms after its time (%.0f ms did not count)", late, outage);
  for (const double end = now_ms() + 20000; ticks < before + 3 && now_ms() < end;) nanosleep(&(struct timespec){0, 2000000}, NULL);
  check(ticks >= before + 3, "the periodic timer has stopped");
  return verdict();
}
