/** Requests for, and answers about, the sockets of the network namespace (linux/{unix,inet,netlink,packet}_diag.h). */
import { Struct } from '../structs.ts';

const unix_diag_req_fields = {
  sdiag_family: ['u8', 0],
  sdiag_protocol: ['u8', 1],
  udiag_states: ['u32', 4],
  udiag_ino: ['u32', 8],
  udiag_show: ['u32', 12],
  'udiag_cookie[0]': ['u32', 16],
  'udiag_cookie[1]': ['u32', 20],
} as const;

export const unix_diag_req: Struct<typeof unix_diag_req_fields> = new Struct({
  type: 'struct unix_diag_req',
  header: 'linux/unix_diag.h',
  size: 24,
  fields: unix_diag_req_fields,
});

const unix_diag_msg_fields = { udiag_type: ['u8', 1], udiag_state: ['u8', 2], udiag_ino: ['u32', 4] } as const;

export const unix_diag_msg: Struct<typeof unix_diag_msg_fields> = new Struct({
  type: 'struct unix_diag_msg',
  header: 'linux/unix_diag.h',
  size: 16,
  fields: unix_diag_msg_fields,
});

const inet_diag_req_fields = {
  sdiag_family: ['u8', 0],
  sdiag_protocol: ['u8', 1],
  idiag_ext: ['u8', 2],
  idiag_states: ['u32', 4],
  id: ['bytes', 8, 48],
} as const;

export const inet_diag_req_v2: Struct<typeof inet_diag_req_fields> = new Struct({
  type: 'struct inet_diag_req_v2',
  header: 'linux/inet_diag.h',
  size: 56,
  fields: inet_diag_req_fields,
});

const inet_diag_msg_fields = {
  idiag_family: ['u8', 0],
  idiag_state: ['u8', 1],
  'id.idiag_sport': ['u16', 4],
  'id.idiag_dport': ['u16', 6],
  'id.idiag_src': ['bytes', 8, 16],
  'id.idiag_dst': ['bytes', 24, 16],
  'id.idiag_if': ['u32', 40],
  idiag_rqueue: ['u32', 56],
  idiag_wqueue: ['u32', 60],
  idiag_uid: ['u32', 64],
  idiag_inode: ['u32', 68],
} as const;

/** Ports and addresses are big-endian. */
export const inet_diag_msg: Struct<typeof inet_diag_msg_fields> = new Struct({
  type: 'struct inet_diag_msg',
  header: 'linux/inet_diag.h',
  size: 72,
  fields: inet_diag_msg_fields,
});

const netlink_diag_req_fields = {
  sdiag_family: ['u8', 0],
  sdiag_protocol: ['u8', 1],
  ndiag_ino: ['u32', 4],
  ndiag_show: ['u32', 8],
} as const;

export const netlink_diag_req: Struct<typeof netlink_diag_req_fields> = new Struct({
  type: 'struct netlink_diag_req',
  header: 'linux/netlink_diag.h',
  size: 20,
  fields: netlink_diag_req_fields,
});

const netlink_diag_msg_fields = {
  ndiag_type: ['u8', 1],
  ndiag_protocol: ['u8', 2],
  ndiag_state: ['u8', 3],
  ndiag_portid: ['u32', 4],
  ndiag_dst_portid: ['u32', 8],
  ndiag_dst_group: ['u32', 12],
  ndiag_ino: ['u32', 16],
} as const;

export const netlink_diag_msg: Struct<typeof netlink_diag_msg_fields> = new Struct({
  type: 'struct netlink_diag_msg',
  header: 'linux/netlink_diag.h',
  size: 28,
  fields: netlink_diag_msg_fields,
});
