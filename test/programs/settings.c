/*
 * Settings that a process has beside its memory and its files: `settings GO`. Scheduling policy, nice value, processors and
 * I/O priority; what prctl sets, speculation controls; membarrier; OOM score and core dump filter; and, as root, fewer capabilities and secure bits.
 */
#include "program.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define SECBIT_NOROOT_AND_KEEP_CAPS (1 | 1 << 4)
enum { IDLE = 3 << 13, CAP_SYS_PTRACE = 19, CAP_SYS_BOOT = 22, SIZE = 16384 };
static char before[SIZE], after[SIZE];

static void put(char *into, const char *name, long value) { sprintf(into + strlen(into), "%s %ld\n", name, value); }

static void put_file(char *into, const char *path, const char *wanted) {
  char line[1024];
  FILE *file = fopen(path, "r");
  need(file != NULL, path);
  while (fgets(line, sizeof line, file))
    if (strncmp(line, wanted, strlen(wanted)) == 0) sprintf(into + strlen(into), "%.60s: %s", path, line);
  fclose(file);
}

static void take(char *into) {
  static const struct { const char *name; int get; } written[] = {{"PDEATHSIG", 2}, {"TSC", 25}, {"CHILD_SUBREAPER", 37}};
  static const struct { const char *name; int get; } returned[] = {{"TIMERSLACK", 30}, {"SECUREBITS", 27}, {"THP_DISABLE", 42}};
  *into = 0;
  for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
    int value = -1;
    prctl(written[i].get, &value, 0, 0, 0);
    put(into, written[i].name, value);
  }
  for (size_t i = 0; i < sizeof returned / sizeof *returned; i++) put(into, returned[i].name, prctl(returned[i].get, 0, 0, 0, 0));
  put(into, "MCE_KILL", prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
  put(into, "IO_FLUSHER", prctl(58, 0, 0, 0, 0));
  put(into, "MDWE", prctl(66, 0, 0, 0, 0));
  for (int which = 0; which < 3; which++) put(into, "speculation", prctl(PR_GET_SPECULATION_CTRL, which, 0, 0, 0));
  put(into, "membarrier", syscall(SYS_membarrier, 1 << 9, 0, 0));
  put(into, "policy", sched_getscheduler(0));
  put(into, "nice", getpriority(PRIO_PROCESS, 0));
  put(into, "I/O priority", syscall(SYS_ioprio_get, 1, 0));
  put_file(into, "/proc/self/status", "Cap");
  put_file(into, "/proc/self/status", "Cpus_allowed:");
  put_file(into, "/proc/self/status", "THP_enabled");
  put_file(into, "/proc/self/oom_score_adj", "");
  put_file(into, "/proc/self/coredump_filter", "");
  put_file(into, "/proc/self/comm", "");
}

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_WRONLY);
  need(write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
  close(fd);
}

int main(int argc, char **argv) {
  const struct sched_param none = {0};
  cpu_set_t first;
  need(argc == 2, "usage: settings GO");
  need(sched_getaffinity(0, sizeof first, &first) == 0, "sched_getaffinity");
  for (int cpu = 0, found = 0; cpu < CPU_SETSIZE; cpu++) {
    if (found) CPU_CLR(cpu, &first);
    found |= CPU_ISSET(cpu, &first);
  }
  need(sched_setaffinity(0, sizeof first, &first) == 0, "sched_setaffinity");
  need(sched_setscheduler(0, SCHED_BATCH, &none) == 0, "sched_setscheduler");
  need(nice(6) == 6, "nice");
  need(syscall(SYS_ioprio_set, 1, 0, IDLE) == 0, "ioprio_set");
  need(prctl(PR_SET_TIMERSLACK, 123456) == 0, "PR_SET_TIMERSLACK");
  need(prctl(PR_SET_PDEATHSIG, 10) == 0, "PR_SET_PDEATHSIG");
  need(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "PR_SET_CHILD_SUBREAPER");
  need(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0, "PR_SET_THP_DISABLE");
  need(prctl(PR_SET_NAME, "no \xff UTF-8") == 0, "PR_SET_NAME");
  need(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0, "PR_MCE_KILL");
  for (int which = 0; which < 3; which++) prctl(PR_SET_SPECULATION_CTRL, which, which == 0 ? PR_SPEC_FORCE_DISABLE : PR_SPEC_DISABLE, 0, 0);
  prctl(57, 1, 0, 0, 0); /* PR_SET_IO_FLUSHER, root only */
  for (int command = 1 << 2; command <= 1 << 8; command <<= 2) syscall(SYS_membarrier, command, 0, 0); /* the registrations */
  write_file("/proc/self/oom_score_adj", "321");
  write_file("/proc/self/coredump_filter", "0x11");
  if (prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) == 0) { // root
    struct { uint32_t version, pid; } header = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } sets[2];
    need(syscall(SYS_capget, &header, sets) == 0, "capget");
    sets[0].permitted &= ~(1u << CAP_SYS_BOOT);
    sets[0].effective = sets[0].permitted & ~1u;
    sets[0].inheritable = sets[0].permitted & 0xff;
    need(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT_AND_KEEP_CAPS) == 0, "PR_SET_SECUREBITS");
    need(syscall(SYS_capset, &header, sets) == 0, "capset");
    need(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 1, 0, 0) == 0, "PR_CAP_AMBIENT_RAISE");
  }

  ready();
  take(before);
  wait_for(argv[1]);
  take(after);
  check(strcmp(before, after) == 0, "settings\nwere\n%s\nare\n%s", before, after);
  return verdict();
}
