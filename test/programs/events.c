/* eventfd, timerfd, signalfd, epoll: `events GO`. Their state, and what an epoll descriptor says about them. */
#include "program.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

static int is_ready(int fd) {
  struct pollfd about = {fd, POLLIN, 0};
  return poll(&about, 1, 0) == 1;
}

static void reads(int fd, uint64_t wanted, const char *what) {
  uint64_t value = 0;
  const ssize_t got = read(fd, &value, sizeof value);
  check(got == 8 && value == wanted, "%s: %lld, must be %lld (%zd)", what, (long long)value, (long long)wanted, got);
}

static void watch(int set, int fd, unsigned events, uint64_t data) {
  struct epoll_event event = {events, {.u64 = data}};
  need(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

/* The data of all that the set reports, in one sum; each bit stands for one item. */
static uint64_t reported(int set) {
  struct epoll_event events[32];
  const int count = epoll_wait(set, events, 32, 0);
  uint64_t sum = 0;
  for (int i = 0; i < count; i++) sum += events[i].data.u64;
  return sum;
}

static double remaining(int fd) {
  struct itimerspec now;
  check(timerfd_gettime(fd, &now) == 0, "timerfd_gettime");
  return now.it_value.tv_sec + now.it_value.tv_nsec / 1e9;
}

static int timer(int clock, int flags, double value, double interval) {
  const int fd = timerfd_create(clock, TFD_NONBLOCK);
  struct timespec now = {0, 0};
  if (flags & TFD_TIMER_ABSTIME) clock_gettime(clock, &now);
  struct itimerspec spec = {{(time_t)interval, (long)((interval - (time_t)interval) * 1e9)}, {now.tv_sec + (time_t)value, (long)((value - (time_t)value) * 1e9)}};
  need(fd >= 0 && timerfd_settime(fd, flags, &spec, NULL) == 0, "timerfd");
  return fd;
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: events GO");
  const int counter = eventfd(5, EFD_NONBLOCK), semaphore = eventfd(2, EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK), zero = eventfd(0, EFD_NONBLOCK);
  const uint64_t most = UINT64_MAX - 1;
  const int high = eventfd(0, EFD_NONBLOCK);
  need(counter >= 0 && semaphore >= 0 && zero >= 0 && write(high, &most, 8) == 8, "eventfd");

  const int hour = timer(CLOCK_MONOTONIC, 0, 3600, 0), day = timer(CLOCK_REALTIME, TFD_TIMER_ABSTIME, 7200, 0), boot = timer(CLOCK_BOOTTIME, 0, 1800, 60);
  const int expired = timer(CLOCK_MONOTONIC, 0, 0.001, 0), periodic = timer(CLOCK_MONOTONIC, 0, 0.001, 0.001), unarmed = timer(CLOCK_MONOTONIC, 0, 0, 0);
  sigset_t mask;
  sigemptyset(&mask), sigaddset(&mask, SIGUSR1), sigaddset(&mask, SIGRTMIN + 3);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  const int signals = signalfd(-1, &mask, SFD_NONBLOCK);
  need(signals >= 0, "signalfd");

  enum { COUNTER = 1, ZERO = 2, TIMER = 4, SIGNAL = 8, PIPE = 16, INNER = 32, STRUCK = 64, ARMED = 128, LOST = 256, TWIN = 512, QUIET = 1024 };
  const int outer = epoll_create1(EPOLL_CLOEXEC), inner = epoll_create1(0), copy = dup(outer);
  int ends[2];
  need(outer >= 0 && inner >= 0 && copy >= 0 && pipe2(ends, O_NONBLOCK) == 0, "epoll");
  watch(outer, counter, EPOLLIN, COUNTER), watch(outer, zero, EPOLLIN | EPOLLET, ZERO), watch(outer, hour, EPOLLIN, TIMER);
  watch(outer, signals, EPOLLIN, SIGNAL), watch(inner, ends[0], EPOLLIN | EPOLLEXCLUSIVE, PIPE), watch(outer, inner, EPOLLIN, INNER);
  const int once = eventfd(1, EFD_NONBLOCK), still = eventfd(0, EFD_NONBLOCK), number = dup(semaphore), twin = dup(zero);
  const int quiet = timer(CLOCK_MONOTONIC, 0, 0.001, 0), shots = epoll_create1(0);
  nanosleep(&(struct timespec){0, 20000000}, NULL);
  watch(shots, once, EPOLLIN | EPOLLONESHOT, STRUCK), watch(shots, quiet, EPOLLIN | EPOLLONESHOT, QUIET);
  need(reported(shots) == (STRUCK | QUIET) && reported(shots) == 0, "one-shot events that have struck");
  reads(quiet, 1, "the timer of a one-shot event");
  watch(shots, still, EPOLLIN | EPOLLONESHOT, ARMED);
  watch(outer, number, EPOLLIN, LOST), watch(outer, twin, EPOLLIN, TWIN); /* one descriptor is closed, its open file lives on */
  close(number);
  const uint64_t before = reported(outer);
  need(before == (COUNTER | LOST), "epoll_wait");

  int flags[64], descriptor[64];
  for (int fd = 0; fd < 64; fd++) flags[fd] = fcntl(fd, F_GETFL), descriptor[fd] = fcntl(fd, F_GETFD);
  ready();
  wait_for(argv[1]);

  for (int fd = 0; fd < 64; fd++) {
    check(fcntl(fd, F_GETFL) == flags[fd], "flags of fd %d: %o, must be %o", fd, fcntl(fd, F_GETFL), flags[fd]);
    check(fcntl(fd, F_GETFD) == descriptor[fd], "close-on-exec of fd %d", fd);
  }
  const uint64_t one = 1;
  check(reported(copy) == before, "the outer set");
  check(reported(shots) == 0, "the set of one-shot events");
  check(write(zero, &one, 8) == 8 && reported(outer) == (COUNTER | LOST | ZERO | TWIN), "an edge"), check(reported(outer) == (COUNTER | LOST | TWIN), "the same edge");
  check(write(ends[1], "x", 1) == 1 && reported(outer) == (COUNTER | LOST | TWIN | INNER) && reported(inner) == PIPE, "the nested set");
  check(raise(SIGUSR1) == 0 && reported(outer) == (COUNTER | LOST | TWIN | INNER | SIGNAL), "a signal");
  check(write(still, &one, 8) == 8 && reported(shots) == ARMED && reported(shots) == 0, "a one-shot event that was armed");
  check(write(once, &one, 8) == 8 && reported(shots) == 0, "a one-shot event that had struck");
  struct epoll_event event = {EPOLLIN | EPOLLONESHOT, {.u64 = STRUCK}};
  check(epoll_ctl(shots, EPOLL_CTL_MOD, once, &event) == 0 && reported(shots) == STRUCK, "armed again");
  check(epoll_ctl(outer, EPOLL_CTL_DEL, counter, NULL) == 0 && reported(outer) == (LOST | TWIN | INNER | SIGNAL), "an item removed");

  reads(counter, 5, "the counter"), check(!is_ready(counter), "the counter is empty then");
  reads(semaphore, 1, "the semaphore"), reads(semaphore, 1, "the semaphore, again"), check(!is_ready(semaphore), "the semaphore is empty then");
  reads(high, most, "the high counter"), reads(zero, 1, "the counter at zero");
  double left = remaining(hour);
  check(left > 3400 && left <= 3600, "an hour: %f s remain", left);
  left = remaining(day), check(left > 7000 && left <= 7200, "two hours: %f s remain", left);
  left = remaining(boot), check(left > 1600 && left <= 1800, "half an hour: %f s remain", left);
  check(!is_ready(hour) && !is_ready(unarmed) && remaining(unarmed) == 0, "timers that have not expired");
  reads(expired, 1, "the timer that has expired"), check(!is_ready(expired), "it expires once");
  uint64_t ticks = 0;
  check(read(periodic, &ticks, 8) == 8 && ticks >= 20, "the periodic timer: %lld", (long long)ticks);
  nanosleep(&(struct timespec){0, 20000000}, NULL);
  check(read(periodic, &ticks, 8) == 8 && ticks >= 15, "the periodic timer goes on: %lld", (long long)ticks);
  struct signalfd_siginfo info;
  check(read(signals, &info, sizeof info) == sizeof info && info.ssi_signo == SIGUSR1, "signalfd");
  check(raise(SIGRTMIN + 3) == 0 && read(signals, &info, sizeof info) == sizeof info, "signalfd, a real-time signal");
  return verdict();
}
