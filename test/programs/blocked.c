/*
 * One blocking system call: `blocked GO MODE MILLISECONDS TOLERANCE`. A mode with a time limit must end by it: neither by
 * EINTR nor early nor late. A mode without one is ended from outside, by a SIGUSR1 or by the line "x" on fd 0.
 *
 * The file GO then tells how many milliseconds the program did not exist (0 if it was not restarted): CLOCK_MONOTONIC
 * went on meanwhile, and a relative time limit that "continues with the time that was left" ends that much later.
 */
#include "program.h"
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/syscall.h>

/* A 32-bit program has one number for times of 32 bits and one for those of 64 (-D_TIME_BITS=64). */
#ifdef SYS_futex_time64
#define FUTEX (sizeof(time_t) > sizeof(long) ? SYS_futex_time64 : SYS_futex)
#else
#define FUTEX SYS_futex
#endif

static volatile sig_atomic_t signalled;
static struct timespec limit, deadline;
static int milliseconds, semaphore = -1;
static int word;

static void on_signal(int number) { signalled = number; }
static void remove_semaphore(void) { if (semaphore >= 0) semctl(semaphore, 0, IPC_RMID); }

static struct epoll_event event;
static int new_epoll(void) {
  int fd = epoll_create1(0);
  need(fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, 0, &(struct epoll_event){.events = EPOLLIN}) == 0, "epoll on fd 0");
  return fd;
}
static sigset_t no_signal, only_usr1;
static struct sembuf take = {0, -1, 0};

/* fd 0 stays silent in these; each answers what the call answers when its time is up. */
static long nap(void) { return nanosleep(&limit, NULL); }
static long clock_relative(void) { return clock_nanosleep(CLOCK_MONOTONIC, 0, &limit, NULL); }
static long clock_absolute(void) { return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL); }
static long clock_realtime(void) { return clock_nanosleep(CLOCK_REALTIME, 0, &limit, NULL); }
static struct pollfd input = {.fd = 0, .events = POLLIN};
static long poll_limit(void) { return poll(&input, 1, milliseconds); }
static long poll_nothing(void) { return poll(NULL, 0, milliseconds); }
static long ppoll_limit(void) { return ppoll(&input, 1, &limit, &no_signal); }
static fd_set *fd0(void) {
  static fd_set set;
  FD_ZERO(&set);
  FD_SET(0, &set);
  return &set;
}
static long select_limit(void) {
  struct timeval time = {limit.tv_sec, limit.tv_nsec / 1000};
  return select(1, fd0(), NULL, NULL, &time);
}
static long pselect_limit(void) { return pselect(1, fd0(), NULL, NULL, &limit, &no_signal); }
static long epoll_limit(void) { return epoll_wait(new_epoll(), &event, 1, milliseconds); }
static long epoll_mask(void) { return epoll_pwait(new_epoll(), &event, 1, milliseconds, &no_signal); }
static long futex_relative(void) { return syscall(FUTEX, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &limit); }
static long futex_absolute(void) {
  return syscall(FUTEX, &word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, 0, &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
}
static long wait_signal(void) { return sigtimedwait(&only_usr1, NULL, &limit); }
static long semaphore_limit(void) { return semtimedop(semaphore, &take, 1, &limit); }

/* These last until something happens. */
static char line[8];
static long read_input(void) { return read(0, line, sizeof line) == 2 && strcmp(line, "x\n") == 0 ? 2 : -1; }
static long poll_input(void) { return poll(&input, 1, -1); }
static long select_input(void) { return select(1, fd0(), NULL, NULL, NULL); }
static long epoll_input(void) { return epoll_wait(new_epoll(), &event, 1, -1); }
static long pause_signal(void) { return pause(); }
static long suspend_signal(void) { return sigsuspend(&no_signal); }
static long take_signal(void) { return sigwaitinfo(&only_usr1, NULL); }
static long semaphore_signal(void) { return semop(semaphore, &take, 1); }
static long futex_signal(void) { return syscall(FUTEX, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL); }

enum { TIME, ABSOLUTE, INPUT, SIGNAL };
static const struct mode { const char *name; long (*call)(void); int ends_by; long result; int error; } modes[] = {
  {"nanosleep", nap, TIME, 0, 0},
  {"clock_nanosleep", clock_relative, TIME, 0, 0},
  {"clock_nanosleep-realtime", clock_realtime, TIME, 0, 0},
  {"clock_nanosleep-absolute", clock_absolute, ABSOLUTE, 0, 0},
  {"poll", poll_limit, TIME, 0, 0},
  {"poll-nothing", poll_nothing, TIME, 0, 0},
  {"ppoll", ppoll_limit, TIME, 0, 0},
  {"select", select_limit, TIME, 0, 0},
  {"pselect", pselect_limit, TIME, 0, 0},
  {"epoll_wait", epoll_limit, TIME, 0, 0},
  {"epoll_pwait", epoll_mask, TIME, 0, 0},
  {"futex", futex_relative, TIME, -1, ETIMEDOUT},
  {"futex-absolute", futex_absolute, ABSOLUTE, -1, ETIMEDOUT},
  {"sigtimedwait", wait_signal, TIME, -1, EAGAIN},
  {"semtimedop", semaphore_limit, TIME, -1, EAGAIN},
  {"read", read_input, INPUT, 2, 0},
  {"poll-input", poll_input, INPUT, 1, 0},
  {"select-input", select_input, INPUT, 1, 0},
  {"epoll_wait-input", epoll_input, INPUT, 1, 0},
  {"pause", pause_signal, SIGNAL, -1, EINTR},
  {"sigsuspend", suspend_signal, SIGNAL, -1, EINTR},
  {"semop", semaphore_signal, SIGNAL, -1, EINTR},
  {"futex-signal", futex_signal, SIGNAL, -1, EINTR},
  {"sigwaitinfo", take_signal, SIGNAL, SIGUSR1, 0},
};

int main(int argc, char **argv) {
  const struct mode *mode = modes;
  need(argc == 5, "usage: blocked GO MODE MILLISECONDS TOLERANCE");
  while (mode < modes + sizeof modes / sizeof *modes && strcmp(mode->name, argv[2]) != 0) mode++;
  need(mode < modes + sizeof modes / sizeof *modes, "the mode is unknown");
  milliseconds = atoi(argv[3]);
  const int tolerance = atoi(argv[4]);
  sigemptyset(&no_signal), sigemptyset(&only_usr1), sigaddset(&only_usr1, SIGUSR1);
  need(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL) == 0, "sigaction");
  if (mode->call == take_signal || mode->call == wait_signal || mode->call == suspend_signal) sigprocmask(SIG_BLOCK, &only_usr1, NULL);
  if (strncmp(mode->name, "sem", 3) == 0) need((semaphore = semget(IPC_PRIVATE, 1, 0600)) >= 0, "semget");

  ready();
  limit = (struct timespec){milliseconds / 1000, milliseconds % 1000 * 1000000L};
  clock_gettime(CLOCK_MONOTONIC, &deadline);
  deadline.tv_sec += limit.tv_sec, deadline.tv_nsec += limit.tv_nsec;
  if (deadline.tv_nsec >= 1000000000) deadline.tv_sec++, deadline.tv_nsec -= 1000000000;
  const double start = now_ms();
  errno = 0;
  long result = mode->call();
  int error = errno;
  const double elapsed = now_ms() - start;
  if (strncmp(mode->name, "clock", 5) == 0) error = (int)result, result = result ? -1 : 0; /* it returns its errno */

  wait_for(argv[1]);
  double gone = 0;
  FILE *go = fopen(argv[1], "r");
  need(go && fscanf(go, "%lf", &gone) <= 1, "the file GO");
  fclose(go);

  check(result == mode->result && (mode->error == 0 || error == mode->error), "%s returned %ld (%s), must return %ld (%s)", mode->name,
        result, result < 0 ? strerror(error) : "-", mode->result, mode->error ? strerror(mode->error) : "-");
  if (mode->ends_by == TIME)
    check(elapsed >= milliseconds + gone - tolerance && elapsed <= milliseconds + gone + tolerance,
          "%s took %.1f ms, must take %d and the %.1f it was gone", mode->name, elapsed, milliseconds, gone);
  if (mode->ends_by == ABSOLUTE) /* the deadline may have passed while it was gone */
    check(elapsed >= milliseconds - tolerance && elapsed <= milliseconds + gone + tolerance, "%s took %.1f ms, must take %d", mode->name,
          elapsed, milliseconds);
  if (mode->ends_by == SIGNAL && mode->error == EINTR) check(signalled == SIGUSR1, "%s returned, and no signal came", mode->name);
  else check(!signalled, "a signal handler ran");
  printf("%s took %.1f ms\n", mode->name, elapsed);
  remove_semaphore();
  return verdict();
}
