/**
 * Standard input, output and error whose other end is outside: a terminal, a pipe, a socket. Their other end is not
 * part of the image; the restarted program gets the standard streams of the restart instead.
 */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { closeSync } from 'node:fs';
import { PidFd, sameDescription } from '../linux/descriptors.ts';
import { major } from '../linux/proc/fds.ts';
import { readStat } from '../linux/proc/stat.ts';
import { syscall } from '../linux/ffi.ts';
import { readTerminalSettings, writeTerminalSettings } from '../linux/terminal.ts';
import { fileType, O_NONBLOCK, type OpenFile, type OpenFileKind } from './open-file.ts';
import { openLocally } from './local-descriptors.ts';
import { node, type Collection, type ObjectKind } from './object.ts';

export interface OpenStream {
  readonly type: 'terminal' | 'pipe' | 'socket';
  /** Which of the restart's own streams takes its place; {@link controlling}: its controlling terminal. */
  readonly standard: number;
  readonly flags: number;
  /** struct termios of the kernel. */
  readonly settings?: Uint8Array | undefined;
}

const controlling = 3;

const record: RecordKind<OpenStream> = defineKind<OpenStream>({
  tag: 0x54,
  name: 'open-stream',
  parents: ['files'],
  title: (value) => `${value.type} in place of ${value.standard === controlling ? 'the terminal' : value.standard}`,
  schema: s.record({
    type: s.oneOf('terminal', 'pipe', 'socket'),
    standard: s.uint(controlling),
    flags: s.hex(s.uint(0xffff_ffff)),
    settings: s.optional(s.hex(s.bytes(64))),
  }),
});

const O_RDWR = 2;
const O_ACCMODE = 3;
const F_SETFL = 4;

const ttyMajors = new Set([4, 5, 136, 137, 138, 139, 140, 141, 142, 143]);

function typeOf({ stat }: OpenFile): OpenStream['type'] | undefined {
  if (fileType.isFifo(stat)) return 'pipe';
  if (fileType.isSocket(stat)) return 'socket';
  return fileType.isCharacterDevice(stat) && ttyMajors.has(major(stat.rdev)) ? 'terminal' : undefined;
}

/** The standard stream for which this descriptor stands: itself, one it was duplicated from, or the same terminal. */
function standardOf(file: OpenFile, table: readonly OpenFile[], pid: number): number | undefined {
  if (file.fd <= 2) return file.fd;
  const standards = table.filter((other) => other.fd <= 2 && typeOf(other) === typeOf(file));
  const duplicate = standards.find((other) => sameDescription(pid, file.fd, pid, other.fd));
  if (duplicate !== undefined) return duplicate.fd;
  if (typeOf(file) !== 'terminal') return undefined;
  const devTty = file.link === '/dev/tty';
  const same = standards.find((other) => devTty || other.stat.rdev === file.stat.rdev);
  return same?.fd ?? (devTty || file.stat.rdev === readStat(pid).tty_nr ? controlling : undefined);
}

export const openStream: ObjectKind<OpenStream> & OpenFileKind = {
  record,
  title: 'Standard streams',
  carried:
    'Terminals, pipes and sockets on 0, 1, 2 and their duplicates: the restart puts its own streams in their place; terminal settings, O_NONBLOCK.',
  refused: 'Terminals elsewhere, and pipes to somebody outside.',

  recognise: (file, table, { pid }) => typeOf(file) !== undefined && standardOf(file, table, pid) !== undefined,

  collect(file, objref, table, { pid }: Collection) {
    const type = typeOf(file) ?? 'pipe';
    const settings = type === 'terminal' ? settingsOf(pid, file.fd) : undefined;
    const value = { type, standard: standardOf(file, table, pid) ?? 0, flags: file.info.flags };
    return [node(record, settings === undefined ? value : { ...value, settings }, { objref })];
  },

  restart(value, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const takeOver = value.standard !== controlling && (value.standard !== 0 || !rebuild.surroundings.imageOnStdin);
      const own = takeOver ? rebuild.locals.duplicateInherited(value.standard) : undefined;
      const path = (value.type === 'terminal' ? rebuild.surroundings.terminal : undefined) ?? '/dev/null';
      if (value.standard === controlling && path === '/dev/null')
        rebuild.notes.push('A terminal that the program had opened is /dev/null now: the restart has no terminal.');
      // As in the RFC: where the image came through this descriptor, a terminal becomes the controlling one, all else /dev/null.
      const fd = own ?? openLocally(path, O_RDWR);
      // fails harmlessly where the restart's stream is no terminal
      if (value.settings !== undefined) writeTerminalSettings(fd, value.settings);
      if (own !== undefined && (value.flags & O_NONBLOCK) !== 0) syscall('fcntl', fd, F_SETFL, value.flags & ~O_ACCMODE);
      return fd;
    });
  },
};

function settingsOf(pid: number, fd: number): Uint8Array | undefined {
  using process = new PidFd(pid);
  const duplicate = process.duplicate(fd);
  if (duplicate < 0) return undefined;
  try {
    return readTerminalSettings(duplicate);
  } finally {
    closeSync(duplicate);
  }
}
