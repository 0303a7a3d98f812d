/*
 * Seccomp filters: `seccomp GO [nnp]`. Three of them: the second and the first answer the same call, so their order shows; the
 * third forbids, on pain of death, most calls that make a checkpoint and a restart. With no_new_privs, or as root without.
 */
#include "program.h"
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define LOAD BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define IF(number, action) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, action)
#define ELSE(action) BPF_STMT(BPF_RET | BPF_K, action)

static long install(struct sock_filter *code, size_t bytes, unsigned flags) {
  const struct sock_fprog program = {(unsigned short)(bytes / sizeof *code), code};
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
}

static int filters(void) {
  char text[8192] = "";
  const int fd = open("/proc/self/status", O_RDONLY);
  if (read(fd, text, sizeof text - 1) <= 0) return -1;
  close(fd);
  const char *const at = strstr(text, "Seccomp_filters:");
  return at == NULL ? -1 : atoi(at + 16);
}

static void look(const char *when) {
  const long parent = syscall(SYS_getppid), parent_errno = errno;
  check(parent == -1 && parent_errno == 62, "%s: getppid gives %ld, errno %ld, must be 62", when, parent, parent_errno);
  const long group = syscall(SYS_getpgrp), group_errno = errno;
  check(group == -1 && group_errno == 63, "%s: getpgrp gives %ld, errno %ld, must be 63", when, group, group_errno);
  check(getuid() == geteuid(), "%s: getuid", when);
}

int main(int argc, char **argv) {
  need(argc >= 2, "usage: seccomp GO [nnp]");
  const int nnp = argc > 2;
  if (nnp) need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  struct sock_filter first[] = {LOAD, IF(SYS_getppid, SECCOMP_RET_ERRNO | 61), IF(SYS_getpgrp, SECCOMP_RET_ERRNO | 63), ELSE(SECCOMP_RET_ALLOW)};
  struct sock_filter second[] = {LOAD, IF(SYS_getppid, SECCOMP_RET_ERRNO | 62), ELSE(SECCOMP_RET_ALLOW)};
  struct sock_filter third[] = {
    LOAD,
    IF(SYS_mmap, SECCOMP_RET_KILL_PROCESS), IF(SYS_prctl, SECCOMP_RET_KILL_PROCESS), IF(SYS_rt_sigaction, SECCOMP_RET_KILL_PROCESS),
    IF(SYS_brk, SECCOMP_RET_KILL_PROCESS), IF(SYS_chdir, SECCOMP_RET_KILL_PROCESS), IF(SYS_umask, SECCOMP_RET_KILL_PROCESS),
    IF(SYS_setresuid, SECCOMP_RET_KILL_PROCESS), IF(SYS_prlimit64, SECCOMP_RET_KILL_PROCESS), IF(SYS_seccomp, SECCOMP_RET_KILL_PROCESS),
    IF(SYS_sigaltstack, SECCOMP_RET_KILL_PROCESS), IF(SYS_rseq, SECCOMP_RET_KILL_PROCESS), IF(SYS_capset, SECCOMP_RET_KILL_PROCESS),
    ELSE(SECCOMP_RET_ALLOW),
  };
  char *const buffer = malloc(8192);
  setvbuf(stdout, buffer, _IOFBF, 8192); /* no mmap or brk later */
  need(install(first, sizeof first, 0) == 0 && install(second, sizeof second, SECCOMP_FILTER_FLAG_LOG) == 0, "the first two");
  need(install(third, sizeof third, 0) == 0, "the third");
  const int before = filters();
  look("before");

  ready();
  wait_for(argv[1]);

  look("after");
  check(filters() == before, "%d filters, must be %d", filters(), before);
  return verdict();
}
