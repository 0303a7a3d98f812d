/*
 * Mutates memory all the while, in threads, and watches rules that hold at every moment: `invariants GO THREADS MIB`. Every
 * thread has pairs of distant pages and writes a step first to one page of a pair, then to the other. So of all pairs but
 * the one in its hands both pages show the same step, and all steps together are as many as it counts. An image that
 * mixes two moments breaks this. With an argument more it also has memory that fork does not copy.
 */
#include "program.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static size_t pairs, threads;
static volatile int stop;
static volatile sig_atomic_t children_ended;

struct part {
  char *left, *right;
  uint64_t steps, value;
  char padding[4096];
};

static uint64_t *at(char *half, size_t pair) { return (uint64_t *)(half + pair * 4096) + pair % 512; }

static void look(struct part *part, size_t pair) {
  const uint64_t left = *at(part->left, pair), right = *at(part->right, pair);
  check(left == right, "pair %zu: %llu and %llu", pair, (unsigned long long)left, (unsigned long long)right);
}

static void *mutate(void *argument) {
  struct part *part = argument;
  while (!stop) {
    for (int i = 0; i < 64; i++) {
      part->value = next(part->value);
      const size_t pair = (part->value >> 20) % pairs;
      look(part, pair);
      part->steps++;
      (*(volatile uint64_t *)at(part->left, pair))++;
      (*(volatile uint64_t *)at(part->right, pair))++;
      look(part, (part->value >> 40) % pairs);
    }
    nanosleep(&(struct timespec){0, 200000}, NULL);
  }
  return NULL;
}

static void ended(int signal) {
  (void)signal;
  children_ended++;
}

static void *uncopied(int advice) {
  char *place = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  need(place != MAP_FAILED && madvise(place, 1 << 20, advice) == 0, "madvise");
  fill(place, 1 << 20, advice);
  return place;
}

int main(int argc, char **argv) {
  need(argc >= 4, "usage: invariants GO THREADS MIB");
  threads = atoi(argv[2]);
  pairs = ((size_t)atoi(argv[3]) << 20) / 4096 / 2 / threads;
  signal(SIGCHLD, ended);
  char *kept = argc > 4 ? uncopied(MADV_DONTFORK) : NULL, *wiped = argc > 4 ? uncopied(MADV_WIPEONFORK) : NULL;
  char *shared = argc > 4 ? mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) : NULL;
  if (shared != NULL) fill(shared, 1 << 20, 77);
  struct part *parts = calloc(threads, sizeof *parts);
  pthread_t ids[64];
  for (size_t i = 0; i < threads; i++) {
    parts[i].left = malloc(pairs * 4096);
    parts[i].right = malloc(pairs * 4096);
    memset(parts[i].left, 0, pairs * 4096);
    memset(parts[i].right, 0, pairs * 4096);
    for (size_t pair = 0; pair < pairs; pair++) *at(parts[i].left, pair) = *at(parts[i].right, pair) = pair;
    parts[i].value = i + 1;
    need(pthread_create(&ids[i], NULL, mutate, &parts[i]) == 0, "pthread_create");
  }
  ready();
  while (access(argv[1], F_OK) != 0) {
    // Nothing that a checkpoint makes may be seen as a child.
    check(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD, "a child");
    nanosleep(&(struct timespec){0, 1000000}, NULL);
  }
  stop = 1;
  for (size_t i = 0; i < threads; i++) {
    pthread_join(ids[i], NULL);
    uint64_t sum = 0;
    for (size_t pair = 0; pair < pairs; pair++) {
      look(&parts[i], pair);
      sum += *at(parts[i].left, pair) - pair;
    }
    check(sum == parts[i].steps && sum > 0, "thread %zu: %llu steps of %llu", i, (unsigned long long)sum, (unsigned long long)parts[i].steps);
  }
  check(children_ended == 0, "%d times SIGCHLD", (int)children_ended);
  check(shared == NULL || wrong(shared, 1 << 20, 77) == 0, "shared memory");
  check(kept == NULL || wrong(kept, 1 << 20, MADV_DONTFORK) == 0, "MADV_DONTFORK");
  check(wiped == NULL || wrong(wiped, 1 << 20, MADV_WIPEONFORK) == 0, "MADV_WIPEONFORK");
  return verdict();
}
