/* What is refused: `odd-threads GO leaderless` ends its first thread, `odd-threads GO vfork` waits in vfork. */
#include "program.h"
#include <pthread.h>

static const char *trigger;

static void *rest(void *argument) {
  (void)argument;
  usleep(20000);
  ready();
  wait_for(trigger);
  exit(verdict());
}

int main(int argc, char **argv) {
  pthread_t thread;
  need(argc == 3, "usage: odd-threads GO leaderless|vfork");
  trigger = argv[1];
  need(pthread_create(&thread, NULL, rest, NULL) == 0, "a thread");
  if (strcmp(argv[2], "leaderless") == 0) pthread_exit(NULL);
  if (vfork() == 0) {
    wait_for(trigger);
    _exit(0);
  }
  pthread_join(thread, NULL);
}
