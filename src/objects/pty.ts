/**
 * A pseudo-terminal whose master is in a process of the image: what its two sides share. A restart makes a new pair, which has
 * another number in /dev/pts. Source: man 7 pty, man 2 ioctl_tty, drivers/tty/pty.c, drivers/tty/n_tty.c.
 */
import { closeSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { PidFd } from '../linux/descriptors.ts';
import { isMaster, readTty, readWindowSize, TTY, writeTty, writeWindowSize } from '../linux/pty.ts';
import { readTerminalSettings, writeTerminalSettings } from '../linux/terminal.ts';
import { numberField } from './fdinfo-fields.ts';
import type { HeldFile } from './file-tables.ts';
import { localCall, openLocally } from './local-descriptors.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';

export interface Pty {
  /** Number in /dev/pts. */
  readonly index: number;
  /** struct termios of the kernel, of the slave. */
  readonly settings: Uint8Array;
  /** struct winsize. */
  readonly windowSize: Uint8Array;
  /** TIOCPKT: the master is told what happens at the slave. */
  readonly packets: boolean;
  /** TIOCEXCL: nobody else may open the slave. */
  readonly exclusive: boolean;
  /** The slave cannot be opened yet (man 3 unlockpt). */
  readonly locked: boolean;
}

const record: RecordKind<Pty> = defineKind<Pty>({
  tag: 0xa8,
  name: 'pty',
  parents: ['files'],
  title: (value) => `/dev/pts/${value.index}`,
  schema: s.record({
    index: s.uint(0xffff_ffff),
    settings: s.hex(s.bytes(64)),
    windowSize: s.hex(s.bytes(8)),
    packets: s.bool(),
    exclusive: s.bool(),
    locked: s.bool(),
  }),
});

/** Who has the master of /dev/pts/INDEX, among the processes of the image. */
export function masterOf(index: number, { objects: { files } }: Pick<Collection, 'objects'>): HeldFile | undefined {
  for (const pid of files.pids)
    for (const file of files.of(pid))
      if (isMaster(file.stat.rdev) && indexOf(file.info.lines) === index) return { pid, fd: file.fd, file };
  return undefined;
}

export function indexOf(lines: readonly string[]): number | undefined {
  return numberField(lines, 'tty-index');
}

/** Refers to the pair, describing it first if it is new to the image; or says why it cannot be carried. */
export function referToPty(
  index: number,
  master: HeldFile,
  { objects }: Pick<Collection, 'objects'>,
): { objref: number; before: ImageNode[] } | string {
  const known = objects.find(`pty ${index}`);
  if (known !== undefined) return { objref: known, before: [] };
  using process = new PidFd(master.pid);
  const fd = process.duplicate(master.fd);
  if (fd < 0) return 'its master cannot be looked at';
  try {
    const [settings, windowSize] = [readTerminalSettings(fd), readWindowSize(fd)];
    if (settings === undefined || windowSize === undefined) return 'its settings cannot be read';
    if ((settings[16] ?? 0) !== 0) return `its line discipline is ${settings[16]}, not that of terminals`;
    const waiting = readTty(fd, TTY.TIOCINQ) ?? 0;
    if (waiting > 0) return `${waiting} bytes of output wait to be read from its master`;
    const is = (request: number): boolean => (readTty(fd, request) ?? 0) !== 0;
    const value = {
      index,
      settings,
      windowSize,
      packets: is(TTY.TIOCGPKT),
      exclusive: is(TTY.TIOCGEXCL),
      locked: is(TTY.TIOCGPTLCK),
    };
    return objects.refer(`pty ${index}`, (objref) => node(record, value, { objref }));
  } finally {
    closeSync(fd);
  }
}

/** What the sides of a pair find in {@link Rebuild.described}. */
export interface RestartedPty extends Pty {
  /** Our descriptor of the master. */
  readonly fd: number;
}

export const pty: ObjectKind<Pty> = {
  record,
  title: 'Pseudo-terminal',
  carried: 'Settings, window size, packet mode, exclusive mode, lock. It has another number in /dev/pts after a restart.',
  refused:
    'Bytes that wait to be read on either side. A line that is being typed (canonical mode, before Enter) cannot be seen, and is lost. Other line disciplines.',

  restart(value, rebuild, { objref }) {
    const O_RDWR = 2;
    const fd = openLocally('/dev/ptmx', O_RDWR);
    rebuild.locals.keep(fd);
    writeTty(fd, TTY.TIOCSPTLCK, 0);
    writeTerminalSettings(fd, value.settings);
    writeWindowSize(fd, value.windowSize);
    if (value.packets) writeTty(fd, TTY.TIOCPKT, 1);
    const made: RestartedPty = { ...value, fd };
    rebuild.described.set(objref, made);
    // What would stand in the way of opening the slave comes last.
    rebuild.finals.lastCalls.push(() => {
      if (value.exclusive) localCall('make a terminal exclusive', 'ioctl', [fd, TTY.TIOCEXCL, 0]);
      if (value.locked) writeTty(fd, TTY.TIOCSPTLCK, 1);
    });
  },
};

export function ptyOf({ described }: Pick<Rebuild, 'described'>, objref: number): RestartedPty {
  return described.get(objref) as RestartedPty;
}
