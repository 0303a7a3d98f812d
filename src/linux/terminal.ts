/** Terminal settings. Source: man 2 ioctl_tty, include/uapi/asm-generic/termbits.h (struct termios). */
import { statSync } from 'node:fs';
import { LocalMemory, syscall } from './ffi.ts';
import { major, minor } from './proc/fds.ts';

const TCGETS = 0x5401;
const TCSETS = 0x5402;
const termiosSize = 36;

let memory: LocalMemory | undefined;

/** struct termios as the kernel keeps it; undefined when the descriptor is no terminal. */
export function readTerminalSettings(fd: number): Uint8Array | undefined {
  memory ??= LocalMemory.allocate(4096);
  return syscall('ioctl', fd, TCGETS, memory.address) < 0 ? undefined : memory.bytes.slice(0, termiosSize);
}

/** False when the descriptor is no terminal. */
export function writeTerminalSettings(fd: number, settings: Uint8Array): boolean {
  memory ??= LocalMemory.allocate(4096);
  memory.bytes.set(settings.subarray(0, termiosSize));
  return syscall('ioctl', fd, TCSETS, memory.address) === 0;
}

const ptySlaveMajors = { first: 136, last: 143 };

/** The path of a controlling terminal by its device number (tty_nr of /proc/PID/stat); undefined when there is none. */
export function controllingTerminal(ttyNumber: number): string | undefined {
  if (ttyNumber === 0) return undefined;
  const device = { major: major(ttyNumber), minor: minor(ttyNumber) };
  const { first, last } = ptySlaveMajors;
  const path = `/dev/pts/${device.minor + (device.major - first) * 256}`;
  const isThere = device.major >= first && device.major <= last && statSync(path, { throwIfNoEntry: false })?.rdev === ttyNumber;
  return isThere ? path : '/dev/tty';
}
