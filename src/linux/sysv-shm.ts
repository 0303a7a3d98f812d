/** System V shared memory segments. Source: man 2 shmget, shmat, shmctl; ipc/shm.c. */
import { writeFileSync } from 'node:fs';
import { shmid64_ds } from './abi/shm.ts';
import { LocalMemory, mustSyscall, syscall } from './ffi.ts';
import type { StructValues } from './structs.ts';

const IPC = { RMID: 0, SET: 1, STAT: 2 } as const;
const SHM_LOCK = 11;
export const IPC_PRIVATE = 0;
const CREATE_EXCLUSIVELY_NORESERVE = 0o13000;

/** Bits of shm_perm.mode above those of access. Source: linux/shm.h. */
export const SHM_DEST = 0o1000;
export const SHM_LOCKED = 0o2000;

export type SegmentStatus = StructValues<(typeof shmid64_ds)['table']['fields']>;

/** undefined when there is no such segment, or none that we may see. */
export function segmentStatus(id: number): SegmentStatus | undefined {
  const memory = LocalMemory.scratch('shmid', shmid64_ds.size);
  return syscall('shmctl', id, IPC.STAT, memory.address) < 0 ? undefined : shmid64_ds.parse(memory.bytes);
}

/** Minus the errno on failure. `hugePage`: bytes. */
export function createSegment(key: number, size: bigint, mode: number, hugePage: number | undefined): number {
  const SHM_HUGETLB = hugePage === undefined ? 0 : 0o4000 | (Math.log2(hugePage) << 26);
  return syscall('shmget', key, size, CREATE_EXCLUSIVELY_NORESERVE | SHM_HUGETLB | (mode & 0o777));
}

/** The next segment gets this id if it is free. False without CAP_CHECKPOINT_RESTORE. Source: Documentation/admin-guide/sysctl/kernel.rst. */
export function requestSegmentId(id: number): boolean {
  try {
    writeFileSync('/proc/sys/kernel/shm_next_id', `${id}`);
    return true;
  } catch {
    return false;
  }
}

export function setSegmentOwner(id: number, uid: number, gid: number, mode: number): number {
  const memory = LocalMemory.scratch('shmid', shmid64_ds.size);
  const values = { 'shm_perm.uid': uid, 'shm_perm.gid': gid, 'shm_perm.mode': mode & 0o777 };
  memory.bytes.set(shmid64_ds.make(values));
  return syscall('shmctl', id, IPC.SET, memory.address);
}

export function lockSegment(id: number): number {
  return syscall('shmctl', id, SHM_LOCK, 0);
}

/** It vanishes when nobody has it attached any more. */
export function removeSegment(id: number): number {
  return syscall('shmctl', id, IPC.RMID, 0);
}

/** The segment in our own memory, until disposed. */
export class AttachedSegment implements Disposable {
  readonly memory: LocalMemory;

  constructor(id: number, size: number) {
    this.memory = LocalMemory.at(mustSyscall('shmat', `Cannot attach shared memory segment ${id}`, id, 0, 0), size);
  }

  [Symbol.dispose](): void {
    syscall('shmdt', this.memory.address);
  }
}
