/*
 * Things that a checkpoint of one task does not carry: `refused GO WHAT...`. It must name every one of them, and carry
 * none of them silently away. Whoever makes one of them carried takes it out of here and out of the test's list.
 */
#include "program.h"
#include <sched.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <sys/ioctl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>

static int ends[2];
static sigset_t usr2;
static const char *go;


/* An event that was not read. */
static int notify(void) {
  const int events = inotify_init(), fd = open("refused.watched", O_RDWR | O_CREAT, 0600);
  return inotify_add_watch(events, "refused.watched", IN_MODIFY) == 1 && write(fd, "x", 1) == 1 && close(fd) == 0;
}
static int uring(void) { return syscall(SYS_io_uring_setup, 8, (char[120]){0}) >= 0; }
static int user_faults(void) { return syscall(SYS_userfaultfd, 1) >= 0; }
static int landlock(void) { return syscall(SYS_landlock_create_ruleset, &(uint64_t){1}, 8, 0) >= 0; }
/* One end is with a process that is not of this one's tree: init inherits it. */
static int shared_pipe(void) {
  if (pipe(ends) != 0) return 0;
  pid_t pid = fork();
  if (pid == 0) {
    if (fork() > 0) _exit(0);
    setsid(), close(ends[0]);
    wait_for(go);
    _exit(0);
  }
  return pid > 0 && waitpid(pid, NULL, 0) == pid;
}
static int pipe_ends(void) { return shared_pipe() && close(ends[1]) == 0; }
static int socket_vsock(void) { return socket(AF_VSOCK, SOCK_STREAM, 0) >= 0; }
static int pid_fd(void) { return syscall(SYS_pidfd_open, 1, 0) >= 0; }
static int filter(void) {
  struct sock_filter ask[] = {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 0}, {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 54321}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_USER_NOTIF}, {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
  const struct sock_fprog program = {sizeof ask / sizeof *ask, ask};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program) >= 0;
}
static int uts_namespace(void) { return unshare(CLONE_NEWUTS) == 0; }
static int sealed(void) { /* mseal, Linux 6.10 */
  void *place = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return place != MAP_FAILED && syscall(462, place, 4096, 0) == 0;
}
static int secret(void) { /* memfd_secret */
  int fd = (int)syscall(447, 0);
  return fd >= 0 && ftruncate(fd, 4096) == 0 && mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED && close(fd) == 0;
}
static int watched(void) {
  struct uffdio_api api = {.api = UFFD_API};
  char *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  struct uffdio_register range = {.range = {(unsigned long)place, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
  int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  return fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &range) == 0;
}
/* What a debugger leaves behind that ends without deleting its watchpoint. */
static int breakpoint(void) {
  static int watched;
  const pid_t self = getpid(), pid = fork();
  if (pid == 0) {
    int status;
    if (ptrace(PTRACE_SEIZE, self, 0, 0) != 0 || ptrace(PTRACE_INTERRUPT, self, 0, 0) != 0 || waitpid(self, &status, __WALL) != self) _exit(1);
    if (ptrace(PTRACE_POKEUSER, self, offsetof(struct user, u_debugreg[0]), &watched) != 0) _exit(1);
    const long four_bytes_written = 0xd0001;
    _exit(ptrace(PTRACE_POKEUSER, self, offsetof(struct user, u_debugreg[7]), four_bytes_written) != 0);
  }
  int status;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status == 0;
}
/* A thread that leaves for 32-bit code, as emulators do, and stays there. */
static void *in_32_bits(void *code) {
  const struct { uint32_t address; uint16_t segment; } place = {(uint32_t)(uintptr_t)code, 0x23};
  __asm__ volatile("ljmp *%0" ::"m"(place));
  return code;
}
static int other_mode(void) {
  pthread_t id;
  unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
  if (code == MAP_FAILED) return 0;
  memcpy(code, "\xf3\x90\xeb\xfc", 4); /* pause; jump back */
  return pthread_create(&id, NULL, in_32_bits, code) == 0 && usleep(50000) == 0;
}
static int async_io(void) { unsigned long context = 0; return syscall(SYS_io_setup, 8, &context) == 0; }

static const struct { const char *name; int (*make)(void); } kinds[] = {
  {"inotify", notify}, {"pipe", pipe_ends}, {"shared-pipe", shared_pipe}, {"socket", socket_vsock}, {"pidfd", pid_fd}, {"io_uring", uring}, {"userfaultfd", user_faults}, {"landlock", landlock}, {"seccomp", filter},
  {"breakpoint", breakpoint}, {"other-mode", other_mode}, {"namespace", uts_namespace}, {"aio", async_io}, {"sealed", sealed},
  {"secret", secret}, {"watched", watched},
};

int main(int argc, char **argv) {
  need(argc >= 2, "usage: refused GO WHAT...");
  go = argv[1];
  sigemptyset(&usr2), sigaddset(&usr2, SIGUSR2);
  for (int i = 2; i < argc; i++)
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
      if (strcmp(argv[i], kinds[k].name) == 0) need(kinds[k].make(), argv[i]);
  ready();
  wait_for(go);
  return verdict();
}
