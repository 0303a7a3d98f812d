/** Messages of sockets (sys/socket.h). */
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

/** `man 2 recvmsg` */
export const msghdr: Struct<typeof msghdr_fields> = new Struct({
  type: 'struct msghdr',
  header: 'sys/socket.h',
  size: 56,
  fields: msghdr_fields,
});

const cmsghdr_fields = {
  cmsg_len: ['u64', 0],
  cmsg_level: ['i32', 8],
  cmsg_type: ['i32', 12],
} as const;

/** `man 3 cmsg`; the data follows. */
export const cmsghdr: Struct<typeof cmsghdr_fields> = new Struct({
  type: 'struct cmsghdr',
  header: 'sys/socket.h',
  size: 16,
  fields: cmsghdr_fields,
});
