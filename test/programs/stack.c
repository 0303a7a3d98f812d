/*
 * A deep stack that goes on growing: `stack GO`. Recurses to 1 MiB, waits there, recurses on to 6 MiB (the usual limit is
 * 8) and checks every frame on the way back. The kernel grows the stack on a fault below it, if it is still a stack.
 */
#include "program.h"
#include <sys/resource.h>

enum { FRAME = 4096, WAIT_AT = (1 << 20) / FRAME, DEEPEST = (6 << 20) / FRAME };
static const char *go;

static __attribute__((noinline)) int recurse(int depth) {
  volatile uint64_t frame[FRAME / 8];
  fill((void *)frame, sizeof frame, (uint64_t)depth);
  if (depth == WAIT_AT) {
    ready();
    wait_for(go);
  }
  const int sum = depth < DEEPEST ? recurse(depth + 1) + 1 : 0;
  check(wrong((void *)frame, sizeof frame, (uint64_t)depth) == 0, "frame %d", depth);
  return sum;
}

int main(int argc, char **argv) {
  struct rlimit limit;
  need(argc >= 2, "usage: stack GO");
  getrlimit(RLIMIT_STACK, &limit);
  need(limit.rlim_cur >= 8 << 20, "a stack limit of 8 MiB");
  go = argv[1];
  check(recurse(0) == DEEPEST, "depth");
  return verdict();
}
