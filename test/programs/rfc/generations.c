/*
 * Checkpoints itself again and again: `generations DIRECTORY`. Generation N goes into DIRECTORY/image.N. Prints what each
 * call returned, and waits after each for the file DIRECTORY/go.N, so that a test can kill it and restart it from there.
 */
#include "../program.h"
#include <stasis.h>

int main(int argc, char **argv) {
  need(argc == 2, "usage: generations DIRECTORY");
  for (int generation = 1;; generation++) {
    char path[4096];
    snprintf(path, sizeof path, "%s/image.%d", argv[1], generation);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    need(fd >= 0, path);
    const long ret = checkpoint(getpid(), fd, 0);
    printf("generation %d (ret=%ld) %s\n", generation, ret, ret < 0 ? strerror(errno) : "");
    fflush(stdout);
    close(fd);
    snprintf(path, sizeof path, "%s/go.%d", argv[1], generation);
    wait_for(path);
  }
}
