/** Terminal settings (asm-generic/termbits.h, asm-generic/termios.h). */
import { Struct } from '../structs.ts';

const termios_fields = {
  c_iflag: ['u32', 0],
  c_oflag: ['u32', 4],
  c_cflag: ['u32', 8],
  c_lflag: ['u32', 12],
  c_line: ['u8', 16],
  c_cc: ['bytes', 17, 19],
} as const;

/** What TCGETS and TCSETS take (`man 2 TCSETS`); the C library has another, longer one. */
export const termios: Struct<typeof termios_fields> = new Struct({
  type: 'struct termios',
  header: 'asm/termbits.h',
  size: 36,
  fields: termios_fields,
});

const winsize_fields = {
  ws_row: ['u16', 0],
  ws_col: ['u16', 2],
  ws_xpixel: ['u16', 4],
  ws_ypixel: ['u16', 6],
} as const;

/** `man 2 TIOCGWINSZ` */
export const winsize: Struct<typeof winsize_fields> = new Struct({
  type: 'struct winsize',
  header: 'asm/termios.h',
  size: 8,
  fields: winsize_fields,
});
