/*
 * What other programs see of a process, and its small settings: `identity GO DIRECTORY [dumpable=0]`. comm, command line
 * and environment (both rewritten in place, as daemons do), exe, auxv, the mm boundaries, cwd, umask, nice, personality,
 * dumpable, RLIMIT_NOFILE.
 */
#include "program.h"
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { SNAPSHOTS = 7, SIZE = 16384 };
struct snapshot { char bytes[SIZE]; ssize_t size; };
static const char *const files[SNAPSHOTS] = {"comm", "cmdline", "environ", "auxv", "exe", "cwd", "root"};
static struct snapshot before[SNAPSHOTS], after[SNAPSHOTS];
static char stat_before[1024], stat_after[1024];
extern char **environ;

static void take(struct snapshot *into) {
  for (int i = 0; i < SNAPSHOTS; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", files[i]);
    into[i].size = readlink(path, into[i].bytes, SIZE);
    if (into[i].size >= 0) continue;
    int fd = open(path, O_RDONLY);
    into[i].size = read(fd, into[i].bytes, SIZE);
    close(fd);
  }
}

/* Fields of /proc/self/stat (man 5 proc, numbers as there) that belong to the program and not to the moment. */
static void take_stat(char *into) {
  static const int wanted[] = {18, 19, 26, 27, 28, 40, 41, 45, 46, 47, 48, 49, 50, 51};
  char text[2048] = "", *field;
  int fd = open("/proc/self/stat", O_RDONLY), number = 2;
  need(read(fd, text, sizeof text - 1) > 0, "/proc/self/stat");
  close(fd);
  for (field = strtok(strrchr(text, ')') + 1, " \n"); field; field = strtok(NULL, " \n")) {
    number++;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
      if (wanted[i] == number) into += sprintf(into, "%d:%s ", number, field);
  }
}

int main(int argc, char **argv) {
  need(argc >= 3, "usage: identity GO DIRECTORY [dumpable=0]");
  char *go = strdup(argv[1]), *directory = strdup(argv[2]);
  const int undumpable = argc > 3;
  struct rlimit files_before = {512, 1024}, files_after;
  need(chdir(directory) == 0, "chdir");
  need(prctl(PR_SET_NAME, "a (strange) nam") == 0, "PR_SET_NAME");
  memset(argv[0], 'Z', strlen(argv[0]));
  for (int i = 1; i < argc; i++) memset(argv[i], 'y', strlen(argv[i]));
  if (environ[0]) memset(environ[0], 'E', strlen(environ[0]));
  umask(0135);
  need(nice(5) == 5, "nice");
  need(personality(ADDR_NO_RANDOMIZE) != -1, "personality");
  need(setrlimit(RLIMIT_NOFILE, &files_before) == 0, "setrlimit");
  if (undumpable) need(prctl(PR_SET_DUMPABLE, 0) == 0, "PR_SET_DUMPABLE");
  void *const brk_before = sbrk(0);

  ready();
  take(before), take_stat(stat_before);
  wait_for(go);
  take(after), take_stat(stat_after);

  for (int i = 0; i < SNAPSHOTS; i++)
    check(before[i].size == after[i].size && memcmp(before[i].bytes, after[i].bytes, SIZE) == 0, "/proc/self/%s: %zd bytes %.60s, must be %zd bytes %.60s",
          files[i], after[i].size, after[i].bytes, before[i].size, before[i].bytes);
  check(strcmp(stat_before, stat_after) == 0, "/proc/self/stat\n  was %s\n  is  %s", stat_before, stat_after);
  check(umask(0) == 0135, "umask");
  errno = 0;
  check(nice(0) == 5 && errno == 0, "nice: %d", nice(0));
  check(personality(0xffffffff) == ADDR_NO_RANDOMIZE, "personality: %x", (unsigned)personality(0xffffffff));
  check(prctl(PR_GET_DUMPABLE) == (undumpable ? 0 : 1), "dumpable: %d", prctl(PR_GET_DUMPABLE));
  getrlimit(RLIMIT_NOFILE, &files_after);
  check(files_after.rlim_cur == 512 && files_after.rlim_max == 1024, "RLIMIT_NOFILE: %llu %llu, must be 512 1024",
        (unsigned long long)files_after.rlim_cur, (unsigned long long)files_after.rlim_max);
  check(sbrk(0) == brk_before, "brk: %p, must be %p", sbrk(0), brk_before);
  return verdict();
}
