/** epoll (linux/eventpoll.h), and how kcmp looks into it (linux/kcmp.h). */
import { Struct } from '../structs.ts';

const epoll_event_fields = {
  events: ['u32', 0],
  data: ['u64', 4],
} as const;

/** `man 3type epoll_event`; packed on x86-64 only. */
export const epoll_event: Struct<typeof epoll_event_fields> = new Struct({
  type: 'struct epoll_event',
  header: 'linux/eventpoll.h',
  size: 12,
  fields: epoll_event_fields,
  arch: 'x64',
});

const kcmp_epoll_slot_fields = {
  efd: ['u32', 0],
  tfd: ['u32', 4],
  toff: ['u32', 8],
} as const;

/** `man 2 kcmp`, KCMP_EPOLL_TFD */
export const kcmp_epoll_slot: Struct<typeof kcmp_epoll_slot_fields> = new Struct({
  type: 'struct kcmp_epoll_slot',
  header: 'linux/kcmp.h',
  size: 12,
  fields: kcmp_epoll_slot_fields,
});
