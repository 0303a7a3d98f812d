/** Pseudo-terminals. Source: man 7 pty, man 4 pts, man 2 ioctl_tty, drivers/tty/pty.c. */
import { LocalMemory, syscall } from './ffi.ts';
import { major, minor } from './proc/fds.ts';

/** Numbers of asm-generic/ioctls.h. */
export const TTY = {
  TIOCEXCL: 0x540c,
  TIOCSCTTY: 0x540e,
  TIOCSPGRP: 0x5410,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCINQ: 0x541b,
  TIOCPKT: 0x5420,
  TIOCGETD: 0x5424,
  TIOCGPTN: 0x80045430,
  TIOCSPTLCK: 0x40045431,
  TIOCGPKT: 0x80045438,
  TIOCGPTLCK: 0x80045439,
  TIOCGEXCL: 0x80045440,
  TIOCGPTPEER: 0x5441,
} as const;

/** The integer that the call writes; undefined when it fails. */
export function readTty(fd: number, request: number): number | undefined {
  const memory = LocalMemory.scratch('tty', 4096);
  return syscall('ioctl', fd, request, memory.address) < 0 ? undefined : memory.view.getInt32(0, true);
}

/** For calls that read an integer. The result, or minus the errno. */
export function writeTty(fd: number, request: number, value: number): number {
  const memory = LocalMemory.scratch('tty', 4096);
  memory.view.setInt32(0, value, true);
  return syscall('ioctl', fd, request, memory.address);
}

const winsizeSize = 8;

export function readWindowSize(fd: number): Uint8Array | undefined {
  const memory = LocalMemory.scratch('tty', 4096);
  return syscall('ioctl', fd, TTY.TIOCGWINSZ, memory.address) < 0 ? undefined : memory.bytes.slice(0, winsizeSize);
}

export function writeWindowSize(fd: number, size: Uint8Array): number {
  const memory = LocalMemory.scratch('tty', 4096);
  memory.bytes.set(size.subarray(0, winsizeSize));
  return syscall('ioctl', fd, TTY.TIOCSWINSZ, memory.address);
}

const slaveMajors = { first: 136, last: 143 };

/** Number in /dev/pts of a slave by its device number; undefined for another device. */
export function ptyIndex(device: number): number | undefined {
  const at = major(device);
  return at >= slaveMajors.first && at <= slaveMajors.last ? (at - slaveMajors.first) * 256 + minor(device) : undefined;
}

/** /dev/ptmx, and the one in each devpts. */
export function isMaster(device: number): boolean {
  return major(device) === 5 && minor(device) === 2;
}

/** /dev/tty: whatever terminal controls the process. */
export function isControllingDevice(device: number): boolean {
  return major(device) === 5 && minor(device) === 0;
}
