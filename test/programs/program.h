/*
 * What the test programs share. Each one sets up some state, prints `ready PID`, waits until the file named by its first
 * argument appears, verifies its state and prints PASS, or a line for everything that differs and then FAIL.
 *
 * The trigger is a file, so that no signal, descriptor or byte of input is needed that would itself be state.
 */
#ifndef PROGRAM_H
#define PROGRAM_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int differences;

/* Says what differs unless `holds`. */
__attribute__((format(printf, 2, 3), unused)) static void check(int holds, const char *format, ...) {
  va_list arguments;
  if (holds) return;
  differences++;
  printf("differs: ");
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

/* For what must work before there is anything to test. */
__attribute__((unused)) static void need(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "cannot set up: %s: %s\n", what, strerror(errno));
  exit(2);
}

__attribute__((unused)) static void ready(void) {
  printf("ready %d\n", (int)getpid());
  fflush(stdout);
}

/* Looks for the file every 2 ms. No signal comes, so nanosleep may not say EINTR. */
__attribute__((unused)) static void wait_for(const char *path) {
  const struct timespec pause = {0, 2000000};
  while (access(path, F_OK) != 0) check(nanosleep(&pause, NULL) == 0, "nanosleep: %s", strerror(errno));
}

__attribute__((unused)) static int verdict(void) {
  if (differences == 0) printf("PASS\n");
  else printf("FAIL %d\n", differences);
  fflush(stdout);
  return differences == 0 ? 0 : 1;
}

__attribute__((unused)) static double now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

/* A number that depends on all before it: a lost, repeated or changed step shows in every later one. */
__attribute__((unused)) static uint64_t next(uint64_t value) { return value * 6364136223846793005u + 1442695040888963407u; }

/* Fills, or checks, `size` bytes with a pattern that `seed` selects; 0 when all are as they were. */
__attribute__((unused)) static void fill(void *place, size_t size, uint64_t seed) {
  uint64_t *words = place;
  for (size_t i = 0; i < size / 8; i++) words[i] = seed = next(seed);
}
__attribute__((unused)) static size_t wrong(const void *place, size_t size, uint64_t seed) {
  const uint64_t *words = place;
  size_t count = 0;
  for (size_t i = 0; i < size / 8; i++) count += words[i] != (seed = next(seed));
  return count;
}

#endif
