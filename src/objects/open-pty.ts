/** The two sides of a pseudo-terminal that is inside the image. Source: man 7 pty, man 2 TIOCGPTPEER. */
import { closeSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { PidFd } from '../linux/descriptors.ts';
import { isControllingDevice, isMaster, ptyIndex, readTty, TTY } from '../linux/pty.ts';
import { readStat } from '../linux/proc/stat.ts';
import { localCall } from './local-descriptors.ts';
import { fdBlocker, fileType, reopenFlags, type OpenFile, type OpenFileKind } from './open-file.ts';
import { indexOf, masterOf, ptyOf, referToPty } from './pty.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenPty {
  /** objref of the pair. */
  readonly pty: number;
  readonly side: 'master' | 'slave';
  readonly flags: number;
}

const record: RecordKind<OpenPty> = defineKind<OpenPty>({
  tag: 0xa9,
  name: 'open-pty',
  parents: ['files'],
  title: (value) => `${value.side} of #${value.pty}`,
  schema: s.record({ pty: s.objref('pty'), side: s.oneOf('master', 'slave'), flags: s.hex(s.uint(0xffff_ffff)) }),
});

/** The number of the pair that the descriptor belongs to; undefined for another file. */
function pairOf({ stat, info }: OpenFile, pid: number): number | undefined {
  if (!fileType.isCharacterDevice(stat)) return undefined;
  if (isMaster(stat.rdev)) return indexOf(info.lines);
  return isControllingDevice(stat.rdev) ? ptyIndex(readStat(pid).tty_nr) : ptyIndex(stat.rdev);
}

const O_NOCTTY = 0o400;
const F_SETFD = 2;
const FD_CLOEXEC = 1;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;

export const openPty: ObjectKind<OpenPty> & OpenFileKind = {
  record,
  title: 'Side of a pseudo-terminal',
  carried: 'Master or slave, also one that was opened as /dev/tty; status flags.',
  refused: 'Input that waits to be read.',

  recognise(file, _table, collection) {
    const index = pairOf(file, collection.pid);
    return index !== undefined && masterOf(index, collection) !== undefined;
  },

  collect(file, objref, _table, collection) {
    const { pid } = collection;
    const index = pairOf(file, pid) ?? 0;
    const master = masterOf(index, collection);
    const pair = master === undefined ? 'its master is gone' : referToPty(index, master, collection);
    const remedy = 'Try again when the program that has the master has read everything';
    if (typeof pair === 'string') return fdBlocker(file, pair, remedy);
    const side = isMaster(file.stat.rdev) ? 'master' : 'slave';
    const waiting = side === 'slave' ? inputOf(pid, file.fd) : 0;
    if (waiting > 0) return fdBlocker(file, `${waiting} bytes of input wait to be read`, 'Try again when they have been read');
    return [...pair.before, node(record, { pty: pair.objref, side, flags: file.info.flags }, { objref })];
  },

  restart(value, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const master = ptyOf(rebuild, value.pty).fd;
      const flags = reopenFlags(value.flags);
      if (value.side === 'slave') {
        // Not O_CLOEXEC: here the kernel keeps it in the flags of the open file for ever (drivers/tty/pty.c, ptm_open_peer).
        const slave = localCall('open a terminal', 'ioctl', [master, TTY.TIOCGPTPEER, flags | O_NOCTTY]);
        localCall('close a terminal on exec', 'fcntl', [slave, F_SETFD, FD_CLOEXEC]);
        return slave;
      }
      const fd = localCall('duplicate the master of a terminal', 'fcntl', [master, F_DUPFD_CLOEXEC, 0]);
      localCall('set the flags of a terminal', 'fcntl', [fd, F_SETFL, flags]);
      return fd;
    });
  },
};

function inputOf(pid: number, fd: number): number {
  using process = new PidFd(pid);
  const duplicate = process.duplicate(fd);
  if (duplicate < 0) return 0;
  try {
    return readTty(duplicate, TTY.TIOCINQ) ?? 0;
  } finally {
    closeSync(duplicate);
  }
}
