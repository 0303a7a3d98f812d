/** Netlink messages (linux/netlink.h, `man 7 netlink`). */
import { Struct } from '../structs.ts';

const nlmsghdr_fields = {
  nlmsg_len: ['u32', 0],
  nlmsg_type: ['u16', 4],
  nlmsg_flags: ['u16', 6],
  nlmsg_seq: ['u32', 8],
  nlmsg_pid: ['u32', 12],
} as const;

/** Begins every message, at a multiple of 4. */
export const nlmsghdr: Struct<typeof nlmsghdr_fields> = new Struct({
  type: 'struct nlmsghdr',
  header: 'linux/netlink.h',
  size: 16,
  fields: nlmsghdr_fields,
});

const nlattr_fields = { nla_len: ['u16', 0], nla_type: ['u16', 2] } as const;

/** Begins every attribute, at a multiple of 4; the length counts this header. */
export const nlattr: Struct<typeof nlattr_fields> = new Struct({
  type: 'struct nlattr',
  header: 'linux/netlink.h',
  size: 4,
  fields: nlattr_fields,
});
