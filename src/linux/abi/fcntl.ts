/** What fcntl takes (asm-generic/fcntl.h). */
import { Struct } from '../structs.ts';

const f_owner_ex_fields = {
  type: ['i32', 0],
  pid: ['i32', 4],
} as const;

/** `man 2 F_SETOWN_EX` */
export const f_owner_ex: Struct<typeof f_owner_ex_fields> = new Struct({
  type: 'struct f_owner_ex',
  header: 'asm/fcntl.h',
  size: 8,
  fields: f_owner_ex_fields,
});
