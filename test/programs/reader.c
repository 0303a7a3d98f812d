/* Files as others change them: `reader GO LOG INPUT`. Appends to the log, and has read 4 bytes of the input; prints what comes next. */
#include "program.h"

int main(int argc, char **argv) {
  need(argc == 4, "usage: reader GO LOG INPUT");
  char rest[64] = "";
  const int log = open(argv[2], O_WRONLY | O_APPEND | O_CREAT, 0644), input = open(argv[3], O_RDONLY);
  need(log >= 0 && input >= 0 && read(input, rest, 4) == 4 && write(log, "one\n", 4) == 4, "open");
  ready();
  wait_for(argv[1]);
  const ssize_t got = read(input, rest, sizeof rest - 1);
  check(got >= 0, "read");
  rest[got < 0 ? 0 : got] = 0;
  printf("rest '%s'\n", rest);
  check(write(log, "two\n", 4) == 4, "write");
  return verdict();
}
