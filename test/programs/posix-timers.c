/*
 * POSIX timers: `posix-timers GO`. Ids with gaps, every clock, every kind of notification with its value; armed, periodic
 * and not armed; one whose signal waits, and one that has overruns to tell.
 */
#include "program.h"
#include <signal.h>
#include <sys/syscall.h>

typedef struct { int clock, notify, signal; double value, interval; int optional; } plan;
enum { NONE = SIGEV_NONE, SIGNAL = SIGEV_SIGNAL, TO_THREAD = SIGEV_THREAD_ID, RT = 40, WAITS = 45, LATE = 46, MOST = 32 };
static const plan plans[] = {
  {CLOCK_REALTIME, SIGNAL, RT, 3600, 0, 0},      {CLOCK_MONOTONIC, SIGNAL, RT + 1, 3600.5, 1800.25, 0},
  {CLOCK_BOOTTIME, TO_THREAD, RT, 7200, 3, 0},   {CLOCK_TAI, NONE, 0, 5000, 3600, 0},
  {CLOCK_PROCESS_CPUTIME_ID, SIGNAL, SIGALRM, 4000, 9, 0}, {CLOCK_THREAD_CPUTIME_ID, SIGNAL, RT + 2, 5000, 0, 0},
  {CLOCK_MONOTONIC, SIGNAL, SIGUSR1, 0, 0, 0},   {CLOCK_REALTIME_ALARM, SIGNAL, RT + 3, 9000, 0, 1},
  {-6 | 0, TO_THREAD, SIGUSR2, 6000, 60, 0},
};
enum { COUNT = sizeof plans / sizeof *plans };
static int ids[COUNT], made[COUNT];
static struct itimerspec before[COUNT];
static double ready_at;

static double seconds(struct timespec time) { return time.tv_sec + time.tv_nsec / 1e9; }
static struct timespec of(double value) { return (struct timespec){(time_t)value, (long)((value - (double)(time_t)value) * 1e9)}; }

static int create(int clock, int notify, int signal, void *value, int *id) {
  struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal, .sigev_value.sival_ptr = value};
  event._sigev_un._tid = gettid();
  return syscall(SYS_timer_create, clock, &event, id) == 0;
}

static int settime(int id, int flags, double value, double interval) {
  const struct itimerspec wanted = {of(interval), of(value)};
  return syscall(SYS_timer_settime, id, flags, &wanted, NULL) == 0;
}

/* What the kernel says of all of them, without what may change. */
static void listing(char *into, size_t size) {
  const int fd = open("/proc/self/timers", O_RDONLY);
  ssize_t length = 0, got;
  while (fd >= 0 && (got = read(fd, into + length, size - 1 - (size_t)length)) > 0) length += got;
  into[length] = 0;
  for (char *at = into; (at = strstr(at, "id.")) != NULL;) for (at += 3; *at >= '0' && *at <= '9'; at++) *at = 'N';
  close(fd);
}

int main(int argc, char **argv) {
  static char list[65536], list_after[65536];
  int waits, late, spare[5];
  sigset_t all;
  siginfo_t info;
  need(argc == 2, "usage: posix-timers GO");
  sigfillset(&all), sigprocmask(SIG_SETMASK, &all, NULL);
  for (int i = 0; i < 5; i++) need(create(CLOCK_MONOTONIC, NONE, 0, NULL, &spare[i]), "timer_create");
  for (int i = 0; i < COUNT; i++) {
    const plan p = plans[i];
    made[i] = create(p.clock, p.notify, p.signal, &ids[i], &ids[i]);
    need(made[i] || p.optional, "timer_create");
    if (made[i]) need(settime(ids[i], 0, p.value, p.interval), "timer_settime");
    if (i == 3) for (int k = 0; k < 5; k++) syscall(SYS_timer_delete, spare[k]);
  }
  struct timespec clock;
  clock_gettime(CLOCK_REALTIME, &clock);
  need(create(CLOCK_REALTIME, SIGNAL, LATE, &late, &late) && settime(late, TIMER_ABSTIME, seconds(clock) - 5.5 * 3600, 3600), "late");
  need(sigwaitinfo(&all, &info) == LATE && info.si_overrun == 5, "overrun");
  need(create(CLOCK_REALTIME, SIGNAL, WAITS, &waits, &waits) && settime(waits, TIMER_ABSTIME, seconds(clock) - 1800, 3600), "waits");
  for (sigset_t now; sigpending(&now) == 0 && !sigismember(&now, WAITS);) continue;
  listing(list, sizeof list);
  for (int i = 0; i < COUNT; i++) if (made[i]) syscall(SYS_timer_gettime, ids[i], &before[i]);
  ready_at = now_ms();

  ready();
  wait_for(argv[1]);

  const double passed = (now_ms() - ready_at) / 1e3 + 0.05;
  listing(list_after, sizeof list_after);
  check(strcmp(list, list_after) == 0, "/proc/self/timers\nwas\n%s\nis\n%s", list, list_after);
  for (int i = 0; i < COUNT; i++) {
    struct itimerspec now = {0};
    if (!made[i]) continue;
    check(syscall(SYS_timer_gettime, ids[i], &now) == 0, "timer %d is gone", ids[i]);
    check(seconds(now.it_interval) == seconds(before[i].it_interval), "timer %d: interval %f, must be %f", ids[i], seconds(now.it_interval), plans[i].interval);
    const double lost = seconds(before[i].it_value) - seconds(now.it_value);
    check(lost >= -0.05 && lost <= passed, "timer %d: %f s left, before %f", ids[i], seconds(now.it_value), seconds(before[i].it_value));
    if (plans[i].value == 0) check(seconds(now.it_value) == 0, "timer %d is armed", ids[i]);
  }
  check(syscall(SYS_timer_getoverrun, late) == 5, "overruns: %ld, must be 5", syscall(SYS_timer_getoverrun, late));
  const int got = sigtimedwait(&all, &info, &(struct timespec){0, 0});
  check(got == WAITS && info.si_code == SI_TIMER && info.si_timerid == waits && info.si_value.sival_ptr == &waits && info.si_overrun == 0,
        "the signal that waits: %d code %d timer %d overrun %d", got, info.si_code, info.si_timerid, info.si_overrun);
  struct itimerspec next;
  syscall(SYS_timer_gettime, waits, &next);
  check(seconds(next.it_value) > 1800 - passed && seconds(next.it_value) < 1800.1, "after its signal: %f s left", seconds(next.it_value));
  check(sigtimedwait(&all, &info, &(struct timespec){0, 0}) == -1, "signal %d waits, nobody sent it", info.si_signo);

  for (int i = 0; i < COUNT; i++) {
    const plan p = plans[i];
    if (!made[i] || p.notify == NONE) continue;
    check(settime(ids[i], 0, 0.002, 0), "timer_settime");
    for (const double end = now_ms() + 20000; sigtimedwait(&all, &info, &(struct timespec){0, 0}) == -1 && now_ms() < end;) continue;
    check(info.si_signo == p.signal && info.si_code == SI_TIMER && info.si_value.sival_ptr == &ids[i], "timer %d fires signal %d", ids[i], info.si_signo);
  }
  int next_id;
  check(create(CLOCK_MONOTONIC, NONE, 0, NULL, &next_id) && next_id == waits + 1, "the next timer has id %d, must be %d", next_id, waits + 1);
  return verdict();
}
