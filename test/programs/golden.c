/*
 * Has one of every kind of object that an image of revision 1 knows, and checkpoints itself to its standard output: the
 * source of test/golden. Build: gcc -static -Os -I include -o golden golden.c. Run: true | stasis run -- ./golden > FILE.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>
#include "stasis.h"

static void handler(int number) { (void)number; }

int main(void) {
  static char stack[16384];
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK | SA_RESTART};
  const int file = open("/etc/passwd", O_RDONLY);
  if (file < 0 || sigaltstack(&alternate, 0) != 0 || sigaction(SIGUSR1, &action, 0) != 0) return 1;
  if (mmap(0, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED || lseek(file, 5, SEEK_SET) != 5) return 1;
  if (dup(file) < 0 || open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0 || open("/dev/null", O_RDWR) < 0) return 1;
  return checkpoint(0, STDOUT_FILENO, 0) < 0;
}
