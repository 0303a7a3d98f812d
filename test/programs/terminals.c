/*
 * Pseudo-terminals inside the image: `terminals GO`. A process has the master, its child the slave as controlling terminal, with a
 * process group of its own in the foreground.
 */
#include "program.h"
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static const char *go;
static volatile sig_atomic_t interrupted;
static void on_interrupt(int number) { interrupted = number; }

/* In the session of the terminal: the leader, which waits for its child, the group in the foreground. */
static int inside(int slave) {
  const pid_t child = fork();
  if (child == 0) {
    need(setpgid(0, 0) == 0, "setpgid");
    signal(SIGTTOU, SIG_IGN);
    need(tcsetpgrp(slave, getpid()) == 0, "tcsetpgrp");
    struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    dprintf(slave, "inside\n");
    wait_for(go);
    const int tty = open("/dev/tty", O_RDWR);
    check(tty >= 0 && tcgetpgrp(tty) == getpid(), "the foreground group is %d, must be %d", tcgetpgrp(tty), getpid());
    check(tcgetsid(slave) == getsid(0) && getsid(0) == getppid(), "session");
    struct termios settings;
    check(tcgetattr(slave, &settings) == 0 && !(settings.c_lflag & ECHO) && settings.c_cc[VINTR] == 7, "settings");
    for (int i = 0; i < 5000 && !interrupted; i++) usleep(1000);
    check(interrupted == SIGINT, "the interrupt character sends no signal");
    char line[64] = "";
    const ssize_t got = read(slave, line, sizeof line - 1);
    check(got == 6 && strcmp(line, "typed\n") == 0, "read %zd: '%s'", got, line);
    dprintf(slave, "done\n");
    fflush(stdout);
    _exit(differences);
  }
  int status;
  signal(SIGTTIN, SIG_IGN);
  while (waitpid(-1, &status, 0) < 0) continue; /* pids may be others now */
  _exit(!WIFEXITED(status) || WEXITSTATUS(status) != 0);
}

static void expect(int master, const char *wanted) {
  char text[256] = "";
  for (size_t length = 0; strstr(text, wanted) == NULL;) {
    const ssize_t got = read(master, text + length, sizeof text - 1 - length);
    check(got > 0, "the master reads nothing more after '%s'", text);
    if (got <= 0) return;
    length += (size_t)got;
  }
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: terminals GO");
  go = argv[1];
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  need(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0, "posix_openpt");
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  struct termios settings;
  need(slave >= 0 && tcgetattr(slave, &settings) == 0, "tcgetattr");
  settings.c_lflag &= ~(tcflag_t)ECHO;
  settings.c_cc[VINTR] = 7;
  const struct winsize size = {33, 44, 55, 66};
  need(tcsetattr(slave, TCSANOW, &settings) == 0 && ioctl(master, TIOCSWINSZ, &size) == 0, "settings");
  const int locked = posix_openpt(O_RDWR | O_NOCTTY), on = 1;
  need(locked >= 0 && ioctl(locked, TIOCPKT, &on) == 0, "a second one");
  const pid_t leader = fork();
  if (leader == 0) {
    close(master), close(locked);
    need(setsid() > 0 && ioctl(slave, TIOCSCTTY, 0) == 0, "TIOCSCTTY");
    inside(slave);
  }
  expect(master, "inside");
  ready();
  wait_for(go);

  struct winsize now;
  check(ioctl(slave, TIOCGWINSZ, &now) == 0 && memcmp(&now, &size, sizeof now) == 0, "window size %d x %d", now.ws_row, now.ws_col);
  int is = 0;
  check(ioctl(locked, TIOCGPKT, &is) == 0 && is, "packet mode");
  check(ioctl(locked, TIOCGPTLCK, &is) == 0 && is, "the lock");
  check(ioctl(master, TIOCGPTLCK, &is) == 0 && !is, "a lock that was not there");
  check(fcntl(master, F_GETFD) == FD_CLOEXEC, "close-on-exec");
  usleep(200000); /* the group in the foreground looks at itself first */
  check(write(master, "\007", 1) == 1 && write(master, "typed\n", 6) == 6, "write");
  expect(master, "done");
  int status = -1;
  need(waitpid(-1, &status, 0) > 0, "waitpid"); /* its pid may be another one now */
  check(status == 0, "the session ends with %x", status);
  return verdict();
}
