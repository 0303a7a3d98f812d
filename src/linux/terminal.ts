/** Terminal settings. Source: man 2 ioctl_tty, include/uapi/asm-generic/termbits.h (struct termios). */
import { LocalMemory, syscall } from './ffi.ts';

export const TCGETS = 0x5401;
export const TCSETS = 0x5402;
const termiosSize = 36;

let memory: LocalMemory | undefined;

/** struct termios as the kernel keeps it; undefined when the descriptor is no terminal. */
export function readTerminalSettings(fd: number): Uint8Array | undefined {
  memory ??= LocalMemory.allocate(4096);
  return syscall('ioctl', fd, TCGETS, memory.address) < 0 ? undefined : memory.bytes.slice(0, termiosSize);
}
