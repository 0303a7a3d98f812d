/*
 * Clocks that count from the start of the machine: `uptime GO`. They never go backwards, whether asked through the vdso or by a
 * system call; a timer and a sleep that have an absolute time still mean the same moment.
 */
#include "program.h"
#include <signal.h>
#include <sys/syscall.h>

static double ask(int clock, int by_call) {
  struct timespec time;
  if (by_call) need(syscall(SYS_clock_gettime, clock, &time) == 0, "clock_gettime");
  else need(clock_gettime(clock, &time) == 0, "clock_gettime");
  return time.tv_sec + time.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
  static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE};
  double before[3];
  timer_t timer;
  struct itimerspec left;
  need(argc == 2, "usage: uptime GO");
  need(timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &timer) == 0, "timer_create");
  for (int i = 0; i < 3; i++) before[i] = ask(clocks[i], 0);
  need(timer_settime(timer, TIMER_ABSTIME, &(struct itimerspec){{0, 0}, {(time_t)before[0] + 3600, 0}}, NULL) == 0, "timer_settime");
  ready();
  wait_for(argv[1]);
  for (int i = 0; i < 3; i++) {
    const double now = ask(clocks[i], 0), by_call = ask(clocks[i], 1);
    check(now >= before[i] && now < before[i] + 600, "clock %d shows %f, before %f", clocks[i], now, before[i]);
    check(by_call >= now && by_call < now + 60, "clock %d shows %f by a call, %f through the vdso", clocks[i], by_call, now);
  }
  timer_gettime(timer, &left);
  check(left.it_value.tv_sec > 3000 && left.it_value.tv_sec <= 3600, "the timer has %ld s left", (long)left.it_value.tv_sec);
  struct timespec soon = {(time_t)ask(CLOCK_MONOTONIC, 0), 0};
  soon.tv_sec += 1;
  check(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &soon, NULL) == 0, "clock_nanosleep");
  check(ask(CLOCK_MONOTONIC, 0) < soon.tv_sec + 30, "a sleep until %ld ended at %f", (long)soon.tv_sec, ask(CLOCK_MONOTONIC, 0));
  return verdict();
}
