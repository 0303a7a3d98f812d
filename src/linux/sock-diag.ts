/** What the kernel tells of all sockets of a network namespace: man 7 sock_diag. */
import { unix_diag_msg, unix_diag_req } from './abi/sock-diag.ts';
import { decodeAttributes, NETLINK, Netlink } from './netlink.ts';
import { AF } from './socket-address.ts';

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
