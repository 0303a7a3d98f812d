/** System V shared memory (linux/shm.h, asm-generic/shmbuf.h and ipcbuf.h; arch/x86/include/uapi/asm/shmbuf.h). */
import { Struct } from '../structs.ts';

const shmid64_ds_fields = {
  'shm_perm.key': ['i32', 0],
  'shm_perm.uid': ['u32', 4],
  'shm_perm.gid': ['u32', 8],
  'shm_perm.cuid': ['u32', 12],
  'shm_perm.cgid': ['u32', 16],
  'shm_perm.mode': ['u32', 20],
  shm_segsz: ['u64', 48],
  shm_ctime: ['i64', 72],
  shm_nattch: ['u64', 88],
} as const;

/** What `shmctl(IPC_STAT)` fills: glibc's struct shmid_ds has the same layout. */
export const shmid64_ds: Struct<typeof shmid64_ds_fields> = new Struct({
  type: 'struct shmid64_ds',
  header: 'linux/shm.h',
  size: 112,
  fields: shmid64_ds_fields,
});
