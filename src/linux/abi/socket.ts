/** Sockets: messages and addresses (sys/socket.h, linux/un.h, linux/in.h, linux/in6.h, linux/netlink.h, linux/if_packet.h). */
import { Struct } from '../structs.ts';

const msghdr_fields = {
  msg_name: ['u64', 0],
  msg_namelen: ['u32', 8],
  msg_iov: ['u64', 16],
  msg_iovlen: ['u64', 24],
  msg_control: ['u64', 32],
  msg_controllen: ['u64', 40],
  msg_flags: ['i32', 48],
} as const;

/** `man 3type msghdr` */
export const msghdr: Struct<typeof msghdr_fields> = new Struct({
  type: 'struct msghdr',
  header: 'sys/socket.h',
  size: 56,
  fields: msghdr_fields,
});

const cmsghdr_fields = { cmsg_len: ['u64', 0], cmsg_level: ['i32', 8], cmsg_type: ['i32', 12] } as const;

/** `man 3 cmsg`. The data follows, each header at a multiple of 8. */
export const cmsghdr: Struct<typeof cmsghdr_fields> = new Struct({
  type: 'struct cmsghdr',
  header: 'sys/socket.h',
  size: 16,
  fields: cmsghdr_fields,
});

const sockaddr_un_fields = { sun_family: ['u16', 0], sun_path: ['bytes', 2, 108] } as const;

/** `man 7 unix` */
export const sockaddr_un: Struct<typeof sockaddr_un_fields> = new Struct({
  type: 'struct sockaddr_un',
  header: 'linux/un.h',
  size: 110,
  fields: sockaddr_un_fields,
});

const sockaddr_in_fields = { sin_family: ['u16', 0], sin_port: ['u16', 2], sin_addr: ['bytes', 4, 4] } as const;

/** `man 7 ip`. The port is big-endian. */
export const sockaddr_in: Struct<typeof sockaddr_in_fields> = new Struct({
  type: 'struct sockaddr_in',
  header: 'linux/in.h',
  size: 16,
  fields: sockaddr_in_fields,
});

const sockaddr_in6_fields = {
  sin6_family: ['u16', 0],
  sin6_port: ['u16', 2],
  sin6_flowinfo: ['u32', 4],
  sin6_addr: ['bytes', 8, 16],
  sin6_scope_id: ['u32', 24],
} as const;

/** `man 7 ipv6`. Port and flow information are big-endian. */
export const sockaddr_in6: Struct<typeof sockaddr_in6_fields> = new Struct({
  type: 'struct sockaddr_in6',
  header: 'linux/in6.h',
  size: 28,
  fields: sockaddr_in6_fields,
});

const sockaddr_nl_fields = { nl_family: ['u16', 0], nl_pid: ['u32', 4], nl_groups: ['u32', 8] } as const;

/** `man 7 netlink` */
export const sockaddr_nl: Struct<typeof sockaddr_nl_fields> = new Struct({
  type: 'struct sockaddr_nl',
  header: 'linux/netlink.h',
  size: 12,
  fields: sockaddr_nl_fields,
});

const sockaddr_ll_fields = {
  sll_family: ['u16', 0],
  sll_protocol: ['u16', 2],
  sll_ifindex: ['i32', 4],
  sll_hatype: ['u16', 8],
  sll_pkttype: ['u8', 10],
  sll_halen: ['u8', 11],
  sll_addr: ['bytes', 12, 8],
} as const;

/** `man 7 packet`. The protocol is big-endian. */
export const sockaddr_ll: Struct<typeof sockaddr_ll_fields> = new Struct({
  type: 'struct sockaddr_ll',
  header: 'linux/if_packet.h',
  size: 20,
  fields: sockaddr_ll_fields,
});
