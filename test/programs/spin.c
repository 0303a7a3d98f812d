/*
 * Counts without ever sleeping: `spin GO`. Prints `N VALUE`, VALUE being next() applied N * 100,000 times to 1, and
 * keeps floating point sums beside it. At the end all of it is computed again.
 */
#include "program.h"

enum { EACH = 100000 };

static uint64_t value = 1, lines;
static double sse_sum;
static long double x87_sum;

static void step(void) {
  for (int i = 0; i < EACH; i++) value = next(value);
  lines++;
  sse_sum += 1.0 / (double)lines;
  x87_sum += 1.0L / (long double)lines;
}

int main(int argc, char **argv) {
  need(argc >= 2, "usage: spin GO");
  ready();
  while (access(argv[1], F_OK) != 0) {
    char line[64];
    step();
    int length = snprintf(line, sizeof line, "%llu %016llx\n", (unsigned long long)lines, (unsigned long long)value);
    ssize_t written = write(1, line, (size_t)length);
    check(written == length, "write of line %llu: %zd of %d", (unsigned long long)lines, written, length);
  }
  const uint64_t last = value, count = lines;
  const double sse_last = sse_sum;
  const long double x87_last = x87_sum;
  value = 1, lines = 0, sse_sum = 0, x87_sum = 0;
  while (lines < count) step();
  check(value == last, "value: %016llx, must be %016llx", (unsigned long long)last, (unsigned long long)value);
  check(sse_sum == sse_last, "double sum: %.17g, must be %.17g", sse_last, sse_sum);
  check(x87_sum == x87_last, "long double sum: %.21Lg, must be %.21Lg", x87_last, x87_sum);
  return verdict();
}
