/** The file that a unix socket is bound to, as sock_diag tells it: the lower half of the inode, and the kernel's own dev_t. */
import type { BigIntStats } from 'node:fs';
import { major, minor } from './proc/fds.ts';

export interface BoundFile {
  readonly ino: number;
  /** 12 bits major, 20 bits minor (include/linux/kdev_t.h), unlike st_dev. */
  readonly dev: number;
}

export function isSocketFile(stat: BigIntStats, { ino, dev }: BoundFile): boolean {
  const device = Number(stat.dev);
  return stat.isSocket() && Number(stat.ino & 0xffff_ffffn) === ino && (major(device) << 20) + minor(device) === dev;
}
