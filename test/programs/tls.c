/*
 * Segments: thread-local storage through a descriptor of its own in %fs and %gs where 32-bit programs have them, a base
 * set by arch_prctl in 64-bit ones; local descriptors (modify_ldt); both ways into the kernel that a 32-bit program has; frames of old and new handlers.
 */
#include "program.h"
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static unsigned long words[4] = {0x11111111, 0x22222222, 0x33333333, 0x44444444};
static volatile sig_atomic_t plain, informed;

static void handler(int number) { plain = number; }
static void informed_handler(int number, siginfo_t *info, void *context) {
  informed = context != NULL && info->si_signo == number && info->si_pid == getpid() ? number : -1;
}

#ifdef __i386__
static unsigned selector(void) {
  struct user_desc descriptor = {.entry_number = -1, .base_addr = (unsigned)&words[0], .limit = sizeof words - 1, .seg_32bit = 1, .useable = 1};
  need(syscall(SYS_set_thread_area, &descriptor) == 0, "set_thread_area");
  return descriptor.entry_number * 8 + 3;
}
static int via_int80(int number) {
  int result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory");
  return result;
}
static int via_vdso(int number) {
  int result;
  __asm__ volatile("call *%2" : "=a"(result) : "a"(number), "r"(getauxval(AT_SYSINFO)) : "memory", "ecx", "edx");
  return result;
}
#define SEGMENT "fs"
#define OTHER "es"
#else
#define SEGMENT "gs"
#define OTHER "gs"
#endif

static unsigned long at(unsigned long offset) {
  unsigned long value;
  __asm__ volatile("mov %%" SEGMENT ":(%1), %0" : "=r"(value) : "r"(offset));
  return value;
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: tls GO");
  need(signal(SIGUSR1, handler) != SIG_ERR, "signal");
  struct sigaction action = {.sa_flags = SA_SIGINFO};
  action.sa_sigaction = informed_handler;
  need(sigaction(SIGUSR2, &action, NULL) == 0, "sigaction");
#ifdef __i386__
  const unsigned chosen = selector();
  __asm__ volatile("mov %0, %%fs" ::"r"(chosen));
#else
  need(syscall(SYS_arch_prctl, ARCH_SET_GS, &words[0]) == 0, "ARCH_SET_GS");
#endif

  unsigned *low = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  need(low != MAP_FAILED, "mmap");
  *low = 4711;
  /* Entry 7 of the local table, which the processor reaches by bit 2 of a selector; and the last of all there may be. */
  struct user_desc local = {.entry_number = 7, .base_addr = (unsigned)(unsigned long)low, .limit = 15, .seg_32bit = 1, .read_exec_only = 1, .useable = 1};
  need(syscall(SYS_modify_ldt, 0x11, &local, sizeof local) == 0, "modify_ldt");
  local.entry_number = 8191, local.read_exec_only = 0, local.limit_in_pages = 1;
  need(syscall(SYS_modify_ldt, 0x11, &local, sizeof local) == 0, "modify_ldt");
  unsigned char *const table_before = malloc(65536), *const table_after = malloc(65536);
  need(syscall(SYS_modify_ldt, 0, table_before, 65536) == 65536, "modify_ldt");
  const unsigned data_segment = 7 * 8 + 7;

  ready();
  wait_for(argv[1]);

  check(syscall(SYS_modify_ldt, 0, table_after, 65536) == 65536 && memcmp(table_before, table_after, 65536) == 0, "the local descriptor table");

  for (unsigned i = 0; i < 4; i++) check(at(i * sizeof *words) == words[i], "word %u: %lx", i, at(i * sizeof *words));
  errno = 12; /* thread-local itself */
  check(errno == 12, "errno");
#ifdef __i386__
  unsigned now;
  __asm__ volatile("mov %%fs, %0" : "=r"(now));
  check(now == chosen, "selector %x, must be %x", now, chosen);
  __asm__ volatile("mov %0, %%fs" ::"r"(chosen)); /* the descriptor itself, not only what the processor holds of it */
  check(at(4) == words[1], "the descriptor was not carried");
  check(via_int80(SYS_getpid) == getpid(), "int 0x80: %d", via_int80(SYS_getpid));
  check(via_vdso(SYS_getpid) == getpid(), "__kernel_vsyscall: %d", via_vdso(SYS_getpid));
#else
  unsigned long base = 0;
  check(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0 && base == (unsigned long)&words[0], "base %lx", base);
#endif
  /* Through a register that is not needed any more, or is put back. */
  unsigned first = 0, kept;
  __asm__ volatile("mov %%" OTHER ", %1\n mov %2, %%" OTHER "\n mov %%" OTHER ":(%3), %0\n mov %1, %%" OTHER
                   : "=&r"(first), "=&r"(kept) : "r"(data_segment), "r"(0L));
  check(first == 4711, "a local segment: %u, must be 4711", first);

  raise(SIGUSR1), raise(SIGUSR2);
  check(plain == SIGUSR1, "the handler got %d", plain);
  check(informed == SIGUSR2, "the handler with three parameters got %d", informed);
  return verdict();
}
