/*
 * The two system calls of the 2008 RFC "kernel based checkpoint/restart", as Stasis serves them to every program
 * that was started under `stasis run`. Without it they fail with ENOSYS, like any number that the kernel does not know.
 *
 *     long checkpoint(pid_t pid, int fd, unsigned long flags);
 *     long restart(pid_t pid, int fd, unsigned long flags);
 *
 * checkpoint writes an image of the task `pid` (0, or one's own pid: the caller) to `fd`. It returns a positive id in
 * the task that called it, 0 in a task restarted from an image that it took of itself, -1 with errno on failure.
 * restart replaces the caller by the program whose image it reads from `fd`; it returns only on failure, and then the
 * caller is as it was. docs/system-calls.md has the rest.
 *
 * For C89 and later, C++, 32 and 64 bits. It includes no numbers itself, so that it gets along with <sys/syscall.h> and
 * with <asm/unistd_32.h>, before or after them.
 */
#ifndef STASIS_H
#define STASIS_H

#include <sys/types.h>
#include <unistd.h>

/* The same numbers on every architecture: far above the kernel's tables, below the x32 bit (0x40000000). */
#ifndef __NR_checkpoint
#define __NR_checkpoint 17234
#endif
#ifndef __NR_restart
#define __NR_restart 17235
#endif

/*
 * Flags, with the names and values of linux-cr v23 (include/linux/checkpoint.h). Stasis 0.1 takes none of them yet: any
 * flag that is not implemented is refused with EINVAL, as the RFC demands.
 */
#ifndef CHECKPOINT_SUBTREE
#define CHECKPOINT_SUBTREE 0x1 /* part of a container is enough: nothing has to be isolated from the rest */
#endif
#ifndef CHECKPOINT_NETNS
#define CHECKPOINT_NETNS 0x2 /* include the network namespace */
#endif
#ifndef RESTART_TASKSELF
#define RESTART_TASKSELF 0x1 /* a single task restarts itself */
#endif
#ifndef RESTART_FROZEN
#define RESTART_FROZEN 0x2 /* leave the restarted tasks frozen */
#endif
#ifndef RESTART_GHOST
#define RESTART_GHOST 0x4 /* the caller only stands in for a pid that must not be taken */
#endif
#ifndef RESTART_KEEP_LSM
#define RESTART_KEEP_LSM 0x8 /* give objects the security labels of the image */
#endif
#ifndef RESTART_CONN_RESET
#define RESTART_CONN_RESET 0x10 /* established connections come back as reset */
#endif

/* Define STASIS_NO_WRAPPERS where a program has functions of these names itself. */
#ifndef STASIS_NO_WRAPPERS

#ifdef __cplusplus
extern "C" {
#endif

/* <unistd.h> hides syscall() in the strict modes (-std=c99, -ansi). */
#ifdef __THROW
extern long syscall(long number, ...) __THROW;
#else
extern long syscall(long number, ...);
#endif

static __inline__ long checkpoint(pid_t pid, int fd, unsigned long flags) {
  return syscall((long)__NR_checkpoint, (long)pid, (long)fd, flags);
}

static __inline__ long restart(pid_t pid, int fd, unsigned long flags) {
  return syscall((long)__NR_restart, (long)pid, (long)fd, flags);
}

#ifdef __cplusplus
}
#endif

#endif /* STASIS_NO_WRAPPERS */

#endif /* STASIS_H */
