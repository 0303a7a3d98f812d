/*
 * System V shared memory: `segments GO`. Contents, ids, keys, modes, read-only and partial attachments must come back.
 */
#include "program.h"
#include <sys/mman.h>
#include <sys/shm.h>

enum { PAGE = 4096, PAGES = 40 };
static int ids[3];

static void remove_all(void) {
  for (int i = 0; i < 3; i++) shmctl(ids[i], IPC_RMID, NULL);
}

static int writable(char *place) {
  int fd = open("/dev/zero", O_RDONLY), yes = read(fd, place, 1) == 1;
  close(fd);
  return yes;
}

int main(int argc, char **argv) {
  need(argc == 2, "usage: segments GO");
  const key_t key = 0x57000000 + getpid();
  struct shmid_ds status;
  ids[0] = shmget(key, PAGES * PAGE - 100, IPC_CREAT | IPC_EXCL | 0640);
  ids[1] = shmget(IPC_PRIVATE, PAGES * PAGE, IPC_CREAT | 0600);
  ids[2] = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
  need(ids[0] >= 0 && ids[1] >= 0 && ids[2] >= 0 && atexit(remove_all) == 0, "shmget");
  char *named = shmat(ids[0], NULL, 0), *reader = shmat(ids[0], NULL, SHM_RDONLY), *parts = shmat(ids[1], NULL, 0);
  char *doomed = shmat(ids[2], NULL, 0);
  need(named != (void *)-1 && reader != (void *)-1 && parts != (void *)-1 && doomed != (void *)-1, "shmat");
  fill(named + PAGE, PAGE, 1), fill(parts + 10 * PAGE, PAGE, 2), fill(doomed, PAGE, 3);
  need(munmap(parts + 12 * PAGE, 4 * PAGE) == 0 && mprotect(parts + 20 * PAGE, 2 * PAGE, PROT_READ) == 0, "parts");
  need(shmctl(ids[2], IPC_RMID, NULL) == 0, "IPC_RMID");

  ready();
  wait_for(argv[1]);

  check(wrong(named + PAGE, PAGE, 1) == 0 && wrong(reader + PAGE, PAGE, 1) == 0 && named[0] == 0, "the named segment");
  fill(named + 5 * PAGE, PAGE, 4);
  check(wrong(reader + 5 * PAGE, PAGE, 4) == 0 && writable(named) && !writable(reader), "its second attachment");
  check(wrong(parts + 10 * PAGE, PAGE, 2) == 0 && !writable(parts + 20 * PAGE) && writable(parts + 22 * PAGE), "a segment in parts");
  check(access(parts + 12 * PAGE, F_OK) != 0 && errno == EFAULT && writable(parts + 16 * PAGE), "the part that was given up");
  check(wrong(doomed, PAGE, 3) == 0, "the segment that is removed already");
  const int id = shmget(key, 0, 0);
  check(id >= 0 && shmctl(id, IPC_STAT, &status) == 0, "the key");
  check(status.shm_segsz == PAGES * PAGE - 100 && (status.shm_perm.mode & 0777) == 0640 && status.shm_nattch == 2,
        "%zu bytes, mode %o, attached %ld times", status.shm_segsz, status.shm_perm.mode, (long)status.shm_nattch);
  check(geteuid() != 0 || id == ids[0], "the id was %d, is %d", ids[0], id);
  check(shmdt(parts) == 0 && access(parts + 10 * PAGE, F_OK) != 0 && errno == EFAULT, "shmdt");
  ids[0] = id;
  return verdict();
}
