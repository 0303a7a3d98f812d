/*
 * Unusual mappings: `kinds GO`. Memory locked when it is touched, guard pages, memory that the kernel may drop, advice about huge
 * pages, huge TLB pages where there are some. What this kernel does not have is left out.
 */
#include "program.h"
#include <sys/mman.h>
#include <sys/syscall.h>

enum { PAGE = 4096, HUGE = 2 << 20, GUARD_INSTALL = 102, GUARD_REMOVE = 103, DROPPABLE = 8 };

static char *map(size_t size, int flags) { return mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0); }

/* The VmFlags of the mapping that begins at `place`. */
static char *flags_of(const char *place) {
  static char flags[256];
  char line[4096], start[32];
  FILE *smaps = fopen("/proc/self/smaps", "r");
  int inside = 0;
  snprintf(start, sizeof start, "%lx-", (unsigned long)place);
  flags[0] = 0;
  while (smaps && fgets(line, sizeof line, smaps)) {
    if (line[0] < 'A' || line[0] > 'Z') inside = strncmp(line, start, strlen(start)) == 0;
    if (inside && strncmp(line, "VmFlags:", 8) == 0) snprintf(flags, sizeof flags, "%.255s", line + 8);
  }
  if (smaps) fclose(smaps);
  return flags;
}

static int readable(const char *place) { return access(place, F_OK) == 0 || errno != EFAULT; }

int main(int argc, char **argv) {
  need(argc == 2, "usage: kinds GO");
  char *lazy = map(16 * PAGE, MAP_PRIVATE), *guarded = map(64 * PAGE, MAP_PRIVATE), *thp = map(8 * HUGE, MAP_PRIVATE);
  need(syscall(SYS_mlock2, lazy, 16 * PAGE, MLOCK_ONFAULT) == 0, "mlock2");
  fill(lazy + 3 * PAGE, PAGE, 1), fill(guarded, PAGE, 2), fill(guarded + 20 * PAGE, PAGE, 3);
  const int guards = madvise(guarded + PAGE, 2 * PAGE, GUARD_INSTALL) == 0 && madvise(guarded + 40 * PAGE, PAGE, GUARD_INSTALL) == 0;
  char *droppable = map(4 * PAGE, DROPPABLE);
  if (droppable != MAP_FAILED) fill(droppable, PAGE, 4);
  need(madvise(thp, 8 * HUGE, MADV_HUGEPAGE) == 0, "MADV_HUGEPAGE");
  fill(thp + 2 * HUGE, HUGE, 5);
  char *huge = map(HUGE, MAP_PRIVATE | MAP_HUGETLB), *huge_shared = map(HUGE, MAP_SHARED | MAP_HUGETLB);
  if (huge != MAP_FAILED) fill(huge + HUGE / 2, PAGE, 6);
  if (huge_shared != MAP_FAILED) fill(huge_shared + HUGE / 2, PAGE, 7);

  ready();
  wait_for(argv[1]);

  check(wrong(lazy + 3 * PAGE, PAGE, 1) == 0 && strstr(flags_of(lazy), " lo lf"), "locked on fault:%s", flags_of(lazy));
  check(wrong(guarded, PAGE, 2) == 0 && wrong(guarded + 20 * PAGE, PAGE, 3) == 0, "the guarded mapping");
  if (guards) {
    check(!readable(guarded + PAGE) && !readable(guarded + 2 * PAGE) && !readable(guarded + 40 * PAGE), "the guard pages");
    check(readable(guarded + 3 * PAGE) && readable(guarded + 39 * PAGE) && readable(guarded + 41 * PAGE), "beside the guard pages");
    check(madvise(guarded + 40 * PAGE, PAGE, GUARD_REMOVE) == 0 && readable(guarded + 40 * PAGE), "a guard cannot be removed");
  }
  if (droppable != MAP_FAILED) check(wrong(droppable, PAGE, 4) == 0 && strstr(flags_of(droppable), " dp"), "droppable:%s", flags_of(droppable));
  check(wrong(thp + 2 * HUGE, HUGE, 5) == 0 && strstr(flags_of(thp), " hg"), "advice:%s", flags_of(thp));
  if (huge != MAP_FAILED) check(wrong(huge + HUGE / 2, PAGE, 6) == 0 && strstr(flags_of(huge), " ht"), "huge pages:%s", flags_of(huge));
  if (huge_shared != MAP_FAILED)
    check(wrong(huge_shared + HUGE / 2, PAGE, 7) == 0 && strstr(flags_of(huge_shared), " ht"), "shared huge pages:%s", flags_of(huge_shared));
  return verdict();
}
