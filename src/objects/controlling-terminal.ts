/**
 * Which terminal controls a session, and which process group is in its foreground. Source: man 4 tty, man 3 tcsetpgrp,
 * man 2 TIOCSCTTY, drivers/tty/tty_jobctrl.c.
 */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { syscall } from '../linux/ffi.ts';
import { ptyIndex, readTty, TTY } from '../linux/pty.ts';
import { readStat } from '../linux/proc/stat.ts';
import { node, type Collection, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';
import { masterOf, ptyOf, referToPty } from './pty.ts';

export interface ControllingTerminal {
  /** objref; absent for a terminal outside, in whose place comes that of the restart. */
  readonly pty?: number | undefined;
  /** A process of the group in the foreground; absent when none of the image is in it. */
  readonly foreground?: number | undefined;
}

const record: RecordKind<ControllingTerminal> = defineKind<ControllingTerminal>({
  tag: 0xaa,
  name: 'controlling-terminal',
  parents: ['files'],
  schema: s.record({ pty: s.optional(s.objref('pty')), foreground: s.optional(s.uint(0x7fff_ffff)) }),
});

/** Told once per session: by its leader, or by the first process of the image when the leader is outside. */
export function collectControllingTerminal(collection: Collection): ImageNode[] {
  const { pid, objects, stat } = collection;
  if (stat.tty_nr === 0) return [];
  const index = ptyIndex(stat.tty_nr);
  const master = index === undefined ? undefined : masterOf(index, collection);
  const isOutside = index === undefined || master === undefined;
  if (isOutside ? pid !== objects.processes[0] : pid !== stat.sid) return [];
  const foreground = objects.processes.find((other) => readStat(other).pgrp === stat.tpgid);
  const value = foreground === undefined ? {} : { foreground };
  if (isOutside) return [node(record, value)];
  const pair = referToPty(index, master, collection);
  if (typeof pair === 'string') return []; // refused with the descriptor of the master
  return [...pair.before, node(record, { ...value, pty: pair.objref })];
}

export const controllingTerminal: ObjectKind<ControllingTerminal> = {
  record,
  title: 'Controlling terminal',
  carried:
    'Which pseudo-terminal controls a session, the process group in the foreground. In place of a terminal outside comes that of the restart, and programs are told to draw anew (SIGWINCH).',
  refused: '',

  restart(value, rebuild) {
    // At once: the children, which are made later, inherit it, and there is no other way to come by it.
    if (value.pty !== undefined) {
      const fd = openInTask(`/dev/pts/${indexOf(rebuild, value.pty)}`, rebuild) ?? -1;
      rebuild.batch.add('make a terminal the controlling one', 'ioctl', [fd, TTY.TIOCSCTTY, 0]);
      rebuild.batch.add('close a temporary descriptor', 'close', [fd]);
    }
    const isOurs = value.pty !== undefined || hasForeground(rebuild);
    rebuild.finals.calls.push(() => {
      const path = value.pty === undefined ? '/dev/tty' : `/dev/pts/${indexOf(rebuild, value.pty)}`;
      const fd = openInTask(path, rebuild);
      if (fd === undefined) return; // the restart has no terminal
      const group = isOurs ? groupOf(value.foreground, rebuild) : undefined;
      const { batch } = rebuild;
      if (group !== undefined) {
        const place = batch.data(new Uint8Array(Int32Array.of(group).buffer));
        batch.add('set the foreground process group', 'ioctl', [fd, TTY.TIOCSPGRP, place]);
      }
      batch.add('close a temporary descriptor', 'close', [fd]);
      if (value.pty === undefined && group !== undefined) rebuild.whenReleased(() => redraw(group));
    });
  },
};

function indexOf(rebuild: Rebuild, pty: number): number {
  const index = readTty(ptyOf(rebuild, pty).fd, TTY.TIOCGPTN);
  if (index === undefined) throw new StasisError('RESTART_FAILED', 'Cannot find the number of a terminal', { phase: 'restore' });
  return index;
}

function openInTask(path: string, rebuild: Rebuild): number | undefined {
  const AT_FDCWD = -100;
  const O_RDWR_NOCTTY_CLOEXEC = 0o2000402;
  rebuild.flush();
  rebuild.room(5, 256);
  const parameters = [AT_FDCWD, rebuild.batch.text(path), O_RDWR_NOCTTY_CLOEXEC, 0];
  const call = rebuild.batch.add(`open ${path}`, 'openat', parameters, { mayFail: path === '/dev/tty' });
  const fd = Number(rebuild.flush()[call]);
  rebuild.room(5, 256);
  return fd < 0 ? undefined : fd;
}

/** The restart was not put into the background (`&`): the terminal is ours to give to another group. */
function hasForeground({ tracee }: Rebuild): boolean {
  const { pgrp, tpgid } = readStat(tracee.tid);
  return pgrp === tpgid;
}

/** The group in which that process is now. */
function groupOf(former: number | undefined, { processIds }: Rebuild): number | undefined {
  const pid = former === undefined ? undefined : processIds.get(former);
  return pid === undefined ? undefined : readStat(pid).pgrp;
}

/** Another terminal shows something else: editors draw themselves anew when they are told that its size has changed. */
function redraw(group: number): void {
  const SIGWINCH = 28;
  syscall('kill', -group, SIGWINCH);
}
