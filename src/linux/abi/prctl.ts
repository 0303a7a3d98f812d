/** PR_SET_MM_MAP (linux/prctl.h). */
import { Struct } from '../structs.ts';

const prctl_mm_map_fields = {
  start_code: ['u64', 0],
  end_code: ['u64', 8],
  start_data: ['u64', 16],
  end_data: ['u64', 24],
  start_brk: ['u64', 32],
  brk: ['u64', 40],
  start_stack: ['u64', 48],
  arg_start: ['u64', 56],
  arg_end: ['u64', 64],
  env_start: ['u64', 72],
  env_end: ['u64', 80],
  auxv: ['u64', 88],
  auxv_size: ['u32', 96],
  exe_fd: ['u32', 100],
} as const;

/** `man 2 PR_SET_MM`. exe_fd is -1 as 0xffffffff to keep the program file. */
export const prctl_mm_map: Struct<typeof prctl_mm_map_fields> = new Struct({
  type: 'struct prctl_mm_map',
  header: 'linux/prctl.h',
  size: 104,
  fields: prctl_mm_map_fields,
});
