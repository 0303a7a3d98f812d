/** Netlink: requests to the kernel and its answers. Source: man 7 netlink, man 3 netlink. */
import { closeSync } from 'node:fs';
import { nlattr, nlmsghdr } from './abi/netlink.ts';
import { syscallError } from './ffi.ts';
import { encodeAddress } from './socket-address.ts';
import { openSocket, receiveMessage, sendMessage, SOCK, withAddress } from './sockets.ts';
import { viewOf } from './structs.ts';

export const NETLINK = { ROUTE: 0, SOCK_DIAG: 4, NETFILTER: 12 } as const;
export const NLM_F = { REQUEST: 1, ACK: 4, DUMP: 0x300, EXCL: 0x200, CREATE: 0x400, APPEND: 0x800 } as const;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const answerSize = 1 << 16;

export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  readonly body: Uint8Array;
}

/** A netlink socket of ours; closed on dispose. */
export class Netlink implements Disposable {
  readonly #fd: number;
  readonly #what: string;
  #sequence = 0;

  constructor(protocol: number, what: string) {
    const AF_NETLINK = 16;
    this.#fd = openSocket(AF_NETLINK, SOCK.RAW, protocol);
    this.#what = what;
    withAddress('bind', this.#fd, encodeAddress({ family: 'netlink', port: 0, groups: 0 }));
  }

  /** Sends a dump request and gives all that it answers. */
  dump(type: number, body: Uint8Array): NetlinkMessage[] {
    this.#send([{ type, flags: NLM_F.REQUEST | NLM_F.DUMP, body }]);
    const found: NetlinkMessage[] = [];
    for (;;) {
      for (const message of this.#receive()) {
        if (message.type === NLMSG_DONE) return found;
        this.#check(message);
        found.push(message);
      }
    }
  }

  /** Sends messages of which the last asks for an acknowledgement (NLM_F_ACK), and awaits it. Minus the errno. */
  request(messages: readonly NetlinkMessage[]): number {
    this.#send(messages);
    for (;;) {
      for (const { type, body } of this.#receive()) if (type === NLMSG_ERROR) return viewOf(body).getInt32(0, true);
    }
  }

  #send(messages: readonly NetlinkMessage[]): void {
    const bytes = Buffer.concat(messages.map((message) => encodeMessage(message, ++this.#sequence)));
    const to = encodeAddress({ family: 'netlink', port: 0, groups: 0 });
    const sent = sendMessage(this.#fd, { data: bytes, to });
    if (sent < 0) throw syscallError('sendmsg', sent, `Cannot ask the kernel for ${this.#what}`);
  }

  #receive(): NetlinkMessage[] {
    const answer = receiveMessage(this.#fd, 0, answerSize);
    if (typeof answer === 'number') throw syscallError('recvmsg', answer, `Cannot ask the kernel for ${this.#what}`);
    return decodeMessages(answer.data);
  }

  #check({ type, body }: NetlinkMessage): void {
    if (type !== NLMSG_ERROR) return;
    throw syscallError('sendmsg', viewOf(body).getInt32(0, true), `Cannot ask the kernel for ${this.#what}`);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }
}

function encodeMessage({ type, flags, body }: NetlinkMessage, sequence: number): Uint8Array {
  const head = nlmsghdr.make({
    nlmsg_len: nlmsghdr.size + body.length,
    nlmsg_type: type,
    nlmsg_flags: flags,
    nlmsg_seq: sequence,
  });
  return padded(Buffer.concat([head, body]));
}

function padded(bytes: Uint8Array): Uint8Array {
  return Buffer.concat([bytes, new Uint8Array(-bytes.length & 3)]);
}

export function decodeMessages(bytes: Uint8Array): NetlinkMessage[] {
  const messages: NetlinkMessage[] = [];
  const view = viewOf(bytes);
  for (let at = 0; at + nlmsghdr.size <= bytes.length;) {
    const { nlmsg_len, nlmsg_type: type, nlmsg_flags: flags } = nlmsghdr.read(view, at);
    if (nlmsg_len < nlmsghdr.size) break;
    messages.push({ type, flags, body: bytes.slice(at + nlmsghdr.size, at + nlmsg_len) });
    at += (nlmsg_len + 3) & ~3;
  }
  return messages;
}

/** The attributes that follow the fixed part of a message, by type. */
export function decodeAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = viewOf(bytes);
  for (let at = 0; at + nlattr.size <= bytes.length;) {
    const { nla_len, nla_type } = nlattr.read(view, at);
    if (nla_len < nlattr.size) break;
    attributes.set(nla_type & 0x3fff, bytes.subarray(at + nlattr.size, at + nla_len)); // without NLA_F_NESTED
    at += (nla_len + 3) & ~3;
  }
  return attributes;
}

/** An attribute, or with other attributes as its value a nested one. */
export function encodeAttribute(type: number, value: Uint8Array | readonly Uint8Array[]): Uint8Array {
  const NLA_F_NESTED = 0x8000;
  const nested = !(value instanceof Uint8Array);
  const body = nested ? Buffer.concat(value) : value;
  const head = nlattr.make({ nla_len: nlattr.size + body.length, nla_type: nested ? type | NLA_F_NESTED : type });
  return padded(Buffer.concat([head, body]));
}
