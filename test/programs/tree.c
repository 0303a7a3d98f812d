/*
 * A tree: `tree GO`. Two generations of children in groups and sessions of their own, one of them a daemon that left its
 * parent to a subreaper, one that has ended, one killed. Each verifies its relations, the root collects what they end with.
 */
#include "program.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Each child counts with its own number and computes; at the end it verifies its relations and exits with its number. */
struct relations { pid_t parent, group, session; };
static struct relations now(void) { return (struct relations){getppid(), getpgrp(), getsid(0)}; }

static void live(const char *go, int number, pid_t self) {
  const struct relations before = now();
  uint64_t value = (uint64_t)number, steps = 0;
  const struct timespec pause = {0, 2000000};
  FILE *done = fopen("ready.children", "a");
  fprintf(done, "%d\n", number), fclose(done);
  while (access(go, F_OK) != 0) value = next(value), steps++, nanosleep(&pause, NULL);
  const struct relations after = now();
  uint64_t again = (uint64_t)number;
  for (uint64_t i = 0; i < steps; i++) again = next(again);
  check(again == value, "what child %d computed", number);
  check((before.parent == before.group) == (after.parent == after.group), "child %d and its parent's group", number);
  check((before.group == self) == (after.group == getpid()), "child %d leads its group", number);
  check((before.session == self) == (after.session == getpid()), "child %d leads its session", number);
  check((before.parent == before.session) == (after.parent == after.session), "child %d and its parent's session", number);
  for (int status; wait(&status) > 0;) check(WIFEXITED(status) && WEXITSTATUS(status) / 10 == number, "a child of %d: %x", number, status);
  fflush(stdout);
  _exit(differences == 0 ? number : 100);
}

static pid_t child(const char *go, int number, void (*prepare)(void)) {
  const pid_t pid = fork();
  if (pid != 0) return need(pid > 0, "fork"), pid;
  if (prepare != NULL) prepare();
  live(go, number, getpid());
  return 0;
}

static const char *go;
static void own_group(void) { setpgid(0, 0); }
static void own_session(void) { setsid(); }
static void parent_of_two(void) { own_group(), child(go, 21, NULL), child(go, 22, NULL); }
static void leader_of_two(void) { child(go, 31, NULL), own_session(), child(go, 32, NULL); }

static int collect(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR);
  return status;
}

int main(int argc, char **argv) {
  need(argc >= 2, "usage: tree GO");
  go = argv[1];
  remove("ready.children");
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  pid_t plain = child(go, 1, NULL), group = child(go, 2, parent_of_two), session = child(go, 3, leader_of_two);
  pid_t ended = fork();
  if (ended == 0) _exit(44);
  pid_t killed = fork();
  if (killed == 0) raise(SIGTERM), _exit(1);
  pid_t between = fork(); /* a daemon: its parent ends, and with it the leader of its session */
  if (between == 0) {
    setsid();
    const pid_t self = getpid();
    if (fork() != 0) _exit(0);
    while (getppid() == self) nanosleep(&(struct timespec){0, 1000000}, NULL);
    live(go, 5, getpid());
  }
  siginfo_t info;
  need(waitid(P_PID, (id_t)ended, &info, WEXITED | WNOWAIT) == 0 && waitid(P_PID, (id_t)killed, &info, WEXITED | WNOWAIT) == 0, "waitid");
  need(WEXITSTATUS(collect(between)) == 0, "the parent of the daemon");
  int lines = 0;
  while (lines < 8) {
    FILE *file = fopen("ready.children", "r");
    lines = 0;
    if (file == NULL) continue;
    for (int c; (c = fgetc(file)) != EOF;) lines += c == '\n';
    fclose(file);
  }
  ready();
  wait_for(go);
  int sum = 0, status;
  check(WEXITSTATUS(collect(ended)) == 44, "the status of the one that had ended");
  status = collect(killed);
  check(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM, "the status of the one that was killed: %x", status);
  check(WEXITSTATUS(collect(plain)) == 1 && WEXITSTATUS(collect(group)) == 2 && WEXITSTATUS(collect(session)) == 3, "the children");
  while (wait(&status) > 0) sum += WEXITSTATUS(status);
  check(sum == 5, "the daemon: %d", sum);
  return verdict();
}
