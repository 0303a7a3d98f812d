/* Replaces itself by execve every few milliseconds, until GO appears: `reexec GO [N]`. For a target that execs meanwhile. */
#include "program.h"

int main(int argc, char **argv) {
  char number[32];
  const struct timespec pause = {0, 4000000};
  need(argc >= 2, "usage: reexec GO");
  if (argc == 2) ready();
  const long n = argc > 2 ? atol(argv[2]) : 0;
  if (nanosleep(&pause, NULL) != 0) printf("error: nanosleep gave %s\n", strerror(errno));
  if (access(argv[1], F_OK) == 0) return printf("%ld times\n", n), verdict();
  snprintf(number, sizeof number, "%ld", n + 1);
  execl("/proc/self/exe", argv[0], argv[1], number, (char *)NULL);
  printf("error: execl gave %s\n", strerror(errno));
  return 1;
}
