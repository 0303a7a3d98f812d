/** What the kernel tells of all sockets of a network namespace: man 7 sock_diag. */
import {
  inet_diag_msg,
  inet_diag_req_v2,
  netlink_diag_msg,
  netlink_diag_req,
  unix_diag_msg,
  unix_diag_req,
} from './abi/sock-diag.ts';
import { decodeAttributes, NETLINK, Netlink, NLM_F } from './netlink.ts';
import { AF } from './socket-address.ts';
import { viewOf } from './structs.ts';

const SOCK_DIAG_BY_FAMILY = 20;
const all = 0xffff_ffff;

/** TCP_* of include/net/tcp_states.h; unix sockets use LISTEN, ESTABLISHED and CLOSE of them. */
export const state = {
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECV: 3,
  FIN_WAIT1: 4,
  FIN_WAIT2: 5,
  TIME_WAIT: 6,
  CLOSE: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
  NEW_SYN_RECV: 12,
} as const;

export interface UnixSocket {
  readonly ino: number;
  /** SOCK_* */
  readonly type: number;
  readonly state: number;
  /** As in sun_path; empty without a name. */
  readonly name: Uint8Array;
  /** Of the file that it is bound to. */
  readonly file: { readonly ino: number; readonly dev: number } | undefined;
  /** Inode of the other end: 0 when that is nobody's descriptor (closed, or not accepted yet); undefined without a peer. */
  readonly peer: number | undefined;
  /** Of a listening socket: inodes of the sockets whose connections wait to be accepted. */
  readonly waiting: readonly number[];
  /** Of a listening socket: waiting connections, and how many may wait; else bytes to be read, and bytes on their way. */
  readonly receive: number;
  readonly send: number;
  /** Bit 0: nothing will be received, bit 1: nothing can be sent. */
  readonly shutdown: number;
}

export function readUnixSockets(): Map<number, UnixSocket> {
  using netlink = new Netlink(NETLINK.SOCK_DIAG, 'its unix sockets');
  const show = 0x1f; // name, vfs, peer, icons, rqlen
  const request = unix_diag_req.make({ sdiag_family: AF.UNIX, udiag_states: all, udiag_show: show });
  const sockets = netlink.dump(SOCK_DIAG_BY_FAMILY, request).map(({ body }) => parseUnix(body));
  return new Map(sockets.map((socket) => [socket.ino, socket]));
}

function parseUnix(body: Uint8Array): UnixSocket {
  const { udiag_ino: ino, udiag_type: type, udiag_state } = unix_diag_msg.parse(body);
  const attributes = decodeAttributes(body.subarray(unix_diag_msg.size));
  const words = (index: number): Uint32Array | undefined => {
    const value = attributes.get(index);
    return value === undefined ? undefined : new Uint32Array(value.slice().buffer);
  };
  const file = words(1);
  const queue = words(4);
  return {
    ino,
    type,
    state: udiag_state,
    name: attributes.get(0)?.slice() ?? new Uint8Array(0),
    file: file === undefined ? undefined : { ino: file[0] ?? 0, dev: file[1] ?? 0 },
    peer: words(2)?.[0],
    waiting: [...(words(3) ?? [])],
    receive: queue?.[0] ?? 0,
    send: queue?.[1] ?? 0,
    shutdown: attributes.get(6)?.[0] ?? 0,
  };
}

export interface InetSocket {
  readonly ino: number;
  readonly state: number;
  readonly local: InetEnd;
  readonly remote: InetEnd;
  /** Of a listening socket: waiting connections, and how many may wait; else bytes to be read, and bytes not yet acknowledged. */
  readonly receive: number;
  readonly send: number;
  readonly shutdown: number;
}

/** 4 or 16 bytes of address. */
export interface InetEnd {
  readonly address: Uint8Array;
  readonly port: number;
}

const SOCK_DESTROY = 21;

/** Ends the wait of connections that are over (TIME_WAIT) and occupy a local port. Needs CAP_NET_ADMIN; else nothing changes. */
export function endTimeWaits(family: typeof AF.INET | typeof AF.INET6, port: number): void {
  const waiting = readInetSockets(family, IPPROTO.TCP).filter(
    ({ state: now, local }) => now === state.TIME_WAIT && local.port === port,
  );
  if (waiting.length === 0) return;
  using netlink = new Netlink(NETLINK.SOCK_DIAG, 'the end of a connection');
  for (const { local, remote } of waiting) {
    const id = new Uint8Array(48);
    const view = viewOf(id);
    view.setUint16(0, local.port);
    view.setUint16(2, remote.port);
    id.set(local.address, 4);
    id.set(remote.address, 20);
    const anyCookie = 0xffff_ffff;
    view.setUint32(40, anyCookie, true);
    view.setUint32(44, anyCookie, true);
    const body = inet_diag_req_v2.make({ sdiag_family: family, sdiag_protocol: IPPROTO.TCP, idiag_states: all, id });
    netlink.request([{ type: SOCK_DESTROY, flags: NLM_F.REQUEST | NLM_F.ACK, body }]);
  }
}

export const IPPROTO = { IP: 0, ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58 } as const;

/** All sockets of a protocol and family. */
export function readInetSockets(family: typeof AF.INET | typeof AF.INET6, protocol: number): InetSocket[] {
  using netlink = new Netlink(NETLINK.SOCK_DIAG, 'its sockets');
  const INET_DIAG_SHUTDOWN = 8;
  const idiag_ext = 1 << (INET_DIAG_SHUTDOWN - 1);
  const request = inet_diag_req_v2.make({ sdiag_family: family, sdiag_protocol: protocol, idiag_ext, idiag_states: all });
  return netlink.dump(SOCK_DIAG_BY_FAMILY, request).map(({ body }) => {
    const found = inet_diag_msg.parse(body);
    const view = viewOf(body);
    const length = found.idiag_family === AF.INET ? 4 : 16;
    return {
      ino: found.idiag_inode,
      state: found.idiag_state,
      local: { address: found['id.idiag_src'].slice(0, length), port: view.getUint16(4) },
      remote: { address: found['id.idiag_dst'].slice(0, length), port: view.getUint16(6) },
      receive: found.idiag_rqueue,
      send: found.idiag_wqueue,
      shutdown: decodeAttributes(body.subarray(inet_diag_msg.size)).get(INET_DIAG_SHUTDOWN)?.[0] ?? 0,
    };
  });
}

export interface NetlinkSocket {
  readonly ino: number;
  readonly type: number;
  readonly protocol: number;
  readonly port: number;
  readonly remotePort: number;
  readonly remoteGroup: number;
  /** Bit n - 1: member of group n. */
  readonly groups: Uint8Array;
}

export function readNetlinkSockets(): NetlinkSocket[] {
  using netlink = new Netlink(NETLINK.SOCK_DIAG, 'its netlink sockets');
  const everyProtocol = 0xff;
  const showGroups = 2;
  const request = netlink_diag_req.make({ sdiag_family: AF.NETLINK, sdiag_protocol: everyProtocol, ndiag_show: showGroups });
  return netlink.dump(SOCK_DIAG_BY_FAMILY, request).map(({ body }) => {
    const found = netlink_diag_msg.parse(body);
    return {
      ino: found.ndiag_ino,
      type: found.ndiag_type,
      protocol: found.ndiag_protocol,
      port: found.ndiag_portid,
      remotePort: found.ndiag_dst_portid,
      remoteGroup: found.ndiag_dst_group,
      groups: decodeAttributes(body.subarray(netlink_diag_msg.size)).get(1)?.slice() ?? new Uint8Array(0),
    };
  });
}
