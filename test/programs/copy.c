/* Learns by SIGUSR1 which copy it is: `copy GO DIRECTORY`. Writes its number to DIRECTORY/copy.NUMBER. */
#include "program.h"
#include <signal.h>

static volatile sig_atomic_t number = -1;
static void handler(int signal, siginfo_t *info, void *context) { (void)signal, (void)context, number = info->si_value.sival_int; }

int main(int argc, char **argv) {
  char path[4096];
  need(argc == 3, "usage: copy GO DIRECTORY");
  sigaction(SIGUSR1, &(struct sigaction){.sa_sigaction = handler, .sa_flags = SA_SIGINFO}, NULL);
  ready();
  while (access(argv[1], F_OK) != 0) nanosleep(&(struct timespec){0, 2000000}, NULL);
  snprintf(path, sizeof path, "%s/copy.%d", argv[2], (int)number);
  FILE *file = fopen(path, "w");
  need(file != NULL && fprintf(file, "%d\n", (int)getpid()) > 0 && fclose(file) == 0, path);
  return verdict();
}
