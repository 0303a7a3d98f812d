/*
 * Has pipes and descriptors for events, and checkpoints itself to its standard output: the source of
 * test/golden/descriptors.image. Build: gcc -static -Os -I include -o golden golden-descriptors.c. Run in the root
 * directory: true | stasis run -- ./golden > FILE.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <mqueue.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include "stasis.h"

int main(void) {
  int ends[2];
  if (pipe2(ends, O_DIRECT) != 0 || write(ends[1], "one", 3) != 3 || write(ends[1], "two", 3) != 3) return 1;
  if (mkfifo("/tmp/golden-fifo", 0600) != 0 || open("/tmp/golden-fifo", O_RDWR) < 0) return 1;
  const int counter = eventfd(7, EFD_SEMAPHORE), timer = timerfd_create(CLOCK_REALTIME, 0), set = epoll_create1(EPOLL_CLOEXEC);
  struct itimerspec spec = {{60, 0}, {4102444800, 0}};
  sigset_t mask;
  sigemptyset(&mask), sigaddset(&mask, SIGUSR1);
  if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &spec, 0) != 0 || signalfd(-1, &mask, 0) < 0) return 1;
  struct epoll_event event = {EPOLLIN | EPOLLET, {.u64 = 0xfeed}};
  if (epoll_ctl(set, EPOLL_CTL_ADD, counter, &event) != 0) return 1;
  if (fcntl(ends[0], F_SETOWN, getpid()) != 0 || fcntl(ends[0], F_SETFL, O_ASYNC) != 0) return 1;
  if (syscall(SYS_pidfd_open, getpid(), 0) < 0 || inotify_add_watch(inotify_init(), "/tmp/golden-fifo", IN_ATTRIB) != 1) return 1;
  if (mq_open("/golden", O_RDWR | O_CREAT, 0600, 0) < 0) return 1;
  const long id = checkpoint(0, STDOUT_FILENO, 0);
  unlink("/tmp/golden-fifo"), mq_unlink("/golden");
  return id < 0;
}
