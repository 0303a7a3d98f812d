/*
 * Segments: thread-local storage through a descriptor of its own in %fs and %gs where 32-bit programs have them, a base
 * set by arch_prctl in 64-bit ones; both ways into the kernel that a 32-bit program has; frames of old and new handlers.
 */
#include "program.h"
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <signal.h>
#include <sys/auxv.h>
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
#else
#define SEGMENT "gs"
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

  ready();
  wait_for(argv[1]);

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
  raise(SIGUSR1), raise(SIGUSR2);
  check(plain == SIGUSR1, "the handler got %d", plain);
  check(informed == SIGUSR2, "the handler with three parameters got %d", informed);
  return verdict();
}
