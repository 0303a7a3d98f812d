/* pidfd, inotify, POSIX message queues: `watches GO DIRECTORY`. What they tell of processes, files and messages. */
#include "program.h"
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static char directory[4096], got[8192], name[64];

static int is_ready(int fd) {
  struct pollfd about = {fd, POLLIN, 0};
  return poll(&about, 1, 0) == 1 && (about.revents & POLLIN);
}

static const char *at(const char *entry) {
  static char path[8192];
  snprintf(path, sizeof path, "%s/%s", directory, entry);
  return path;
}

static void touch(const char *entry) {
  const int fd = open(at(entry), O_WRONLY | O_CREAT, 0600);
  need(fd >= 0 && write(fd, "x", 1) == 1 && close(fd) == 0, entry);
}

/* The next event: its watch, what it was and the name in the directory. */
static void tells(int fd, int watch, unsigned mask, const char *entry, const char *what) {
  static size_t done, length;
  if (done == length) {
    const ssize_t bytes = read(fd, got, sizeof got);
    check(bytes > 0, "%s: no event", what);
    done = 0, length = bytes > 0 ? (size_t)bytes : 0;
    if (bytes <= 0) return;
  }
  const struct inotify_event *event = (const void *)(got + done);
  done += sizeof *event + event->len;
  check(event->wd == watch && event->mask == mask && strcmp(event->len ? event->name : "", entry) == 0,
        "%s: watch %d mask %x name '%s'", what, event->wd, event->mask, event->len ? event->name : "");
}

static pid_t child(void) {
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  need(pid > 0, "fork");
  return pid;
}

int main(int argc, char **argv) {
  need(argc == 3, "usage: watches GO DIRECTORY");
  snprintf(directory, sizeof directory, "%s/watched", argv[2]);
  need(mkdir(directory, 0700) == 0, directory);
  touch("file"), touch("other");
  need(mkdir(at("below"), 0700) == 0 && mkdir(at("twice"), 0700) == 0, "mkdir");

  const int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  need(events >= 0, "inotify");
  const int gone = inotify_add_watch(events, at("twice"), IN_CREATE), whole = inotify_add_watch(events, directory, IN_CREATE | IN_DELETE | IN_MOVE);
  need(inotify_rm_watch(events, gone) == 0 && read(events, got, sizeof got) > 0, "a watch that is removed");
  const int file = inotify_add_watch(events, at("file"), IN_MODIFY | IN_ATTRIB), once = inotify_add_watch(events, at("other"), IN_MODIFY | IN_ONESHOT);
  need(gone == 1 && whole == 2 && file == 3 && once == 4, "inotify_add_watch");
  const int held = open(at("below"), O_RDONLY | O_DIRECTORY); /* near which the others are found without privilege */

  snprintf(name, sizeof name, "/stasis-test-%d", (int)getpid());
  struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 64};
  const mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes), sender = mq_open(name, O_WRONLY);
  need(held >= 0 && queue >= 0 && sender >= 0 && mq_send(sender, "low", 3, 1) == 0 && mq_send(sender, "high", 4, 9) == 0, "message queue");

  const pid_t pid = child(), last = child();
  const int self = (int)syscall(SYS_pidfd_open, getpid(), 0), other = (int)syscall(SYS_pidfd_open, pid, O_NONBLOCK);
  const int dead = (int)syscall(SYS_pidfd_open, last, 0);
  need(self >= 0 && other >= 0 && dead >= 0 && kill(last, SIGKILL) == 0 && waitpid(last, NULL, 0) == last, "pidfd");

  int flags[64], descriptor[64];
  for (int fd = 0; fd < 64; fd++) flags[fd] = fcntl(fd, F_GETFL), descriptor[fd] = fcntl(fd, F_GETFD);
  ready();
  wait_for(argv[1]);

  for (int fd = 0; fd < 64; fd++) {
    check(fcntl(fd, F_GETFL) == flags[fd], "flags of fd %d: %o, must be %o", fd, fcntl(fd, F_GETFL), flags[fd]);
    check(fcntl(fd, F_GETFD) == descriptor[fd], "close-on-exec of fd %d", fd);
  }
  check(!is_ready(events), "an event that nobody caused");
  touch("new"), tells(events, whole, IN_CREATE, "new", "a file is made");
  touch("file"), tells(events, file, IN_MODIFY, "", "a file is written");
  check(chmod(at("file"), 0400) == 0, "chmod"), tells(events, file, IN_ATTRIB, "", "the mode of a file");
  touch("other"), tells(events, once, IN_MODIFY, "", "the one-shot watch"), tells(events, once, IN_IGNORED, "", "its end");
  touch("other"), check(!is_ready(events), "a one-shot watch tells twice");
  check(unlink(at("new")) == 0, "unlink"), tells(events, whole, IN_DELETE, "new", "a file is removed");
  check(inotify_add_watch(events, at("below"), IN_CREATE) == 5, "the number of the next watch");
  check(inotify_rm_watch(events, file) == 0, "inotify_rm_watch"), tells(events, file, IN_IGNORED, "", "a watch is removed");

  unsigned priority = 0;
  char text[64] = "";
  check(mq_receive(queue, text, 64, &priority) == 4 && priority == 9 && memcmp(text, "high", 4) == 0, "the first message");
  check(mq_send(sender, "late", 4, 0) == 0 && mq_receive(queue, text, 64, &priority) == 3 && memcmp(text, "low", 3) == 0, "the second message");
  check(mq_receive(queue, text, 64, &priority) == 4 && mq_receive(queue, text, 64, &priority) == -1 && errno == EAGAIN, "the last message");
  check(mq_receive(sender, text, 64, &priority) == -1 && errno == EBADF, "the queue that is only written to");
  mq_unlink(name);

  siginfo_t info = {0};
  check(!is_ready(self) && syscall(SYS_pidfd_send_signal, self, 0, NULL, 0) == 0, "the pidfd of itself");
  check(!is_ready(other) && waitid((idtype_t)P_PIDFD, (id_t)other, &info, WEXITED) == -1 && errno == EAGAIN, "the pidfd of the child");
  check(syscall(SYS_pidfd_send_signal, other, SIGKILL, NULL, 0) == 0, "a signal by pidfd");
  struct pollfd about = {other, POLLIN, 0};
  check(poll(&about, 1, 10000) == 1 && waitid((idtype_t)P_PIDFD, (id_t)other, &info, WEXITED) == 0 && info.si_status == SIGKILL, "its end");
  check(is_ready(dead) && syscall(SYS_pidfd_send_signal, dead, 0, NULL, 0) == -1 && errno == ESRCH, "the pidfd of a process that was gone");
  return verdict();
}
