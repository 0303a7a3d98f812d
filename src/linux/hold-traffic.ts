/**
 * Holds off the packets of single TCP connections: what comes is dropped before TCP sees it, so nothing is acknowledged and
 * nothing is answered with a reset, and the other end tries again. By nf_tables, without tools. Source: man 8 nft,
 * linux/netfilter/nf_tables.h, net/netfilter/nf_tables_api.c.
 */
import { encodeAttribute, NETLINK, Netlink, NLM_F, type NetlinkMessage } from './netlink.ts';

const SUBSYSTEM = 10; // NFNL_SUBSYS_NFTABLES
const [BATCH_BEGIN, BATCH_END] = [0x10, 0x11];
const [NEWTABLE, DELTABLE, NEWCHAIN, NEWRULE] = [0, 2, 3, 6];
/** The table goes with the socket that made it, so with us (since Linux 5.12). */
const NFT_TABLE_F_OWNER = 2;
const families = { 4: 2, 16: 10 } as const; // NFPROTO_IPV4, NFPROTO_IPV6 by the length of an address

export interface Flow {
  /** 4 or 16 bytes each. */
  readonly local: Uint8Array;
  readonly localPort: number;
  readonly remote: Uint8Array;
  readonly remotePort: number;
}

/** Until it is disposed, and should we die. Minus the errno when that is not permitted or not known to the kernel. */
export class TrafficHold implements Disposable {
  readonly #netlink = new Netlink(NETLINK.NETFILTER, 'a filter');
  readonly #name: string;
  #hasTables = false;

  constructor(name: string) {
    this.#name = name;
  }

  add(flow: Flow): number {
    const result = this.#hasTables ? 0 : makeTables(this.#netlink, this.#name, NFT_TABLE_F_OWNER);
    this.#hasTables = result >= 0;
    return result < 0 ? result : addFlow(this.#netlink, this.#name, flow);
  }

  [Symbol.dispose](): void {
    this.#netlink[Symbol.dispose]();
  }
}

/** For as long as nobody calls {@link letFlow}, whatever becomes of us. Minus the errno. */
export function holdOff(name: string, flows: readonly Flow[]): number {
  using netlink = new Netlink(NETLINK.NETFILTER, 'a filter');
  let result = makeTables(netlink, name, 0);
  for (const flow of flows) if (result >= 0) result = addFlow(netlink, name, flow);
  return result;
}

/** Removes what {@link holdOff} made, if it is still there. */
export function letFlow(name: string): void {
  using netlink = new Netlink(NETLINK.NETFILTER, 'a filter');
  for (const family of Object.values(families)) batch(netlink, [message(DELTABLE, family, [text(1, name)])]);
}

const text = (type: number, value: string): Uint8Array => encodeAttribute(type, Buffer.from(`${value}\0`));
const number = (type: number, value: number): Uint8Array =>
  encodeAttribute(type, Uint8Array.from([value >>> 24, value >>> 16, value >>> 8, value]));

function message(type: number, family: number, attributes: readonly Uint8Array[], flags = 0): NetlinkMessage {
  const nfgenmsg = Uint8Array.of(family, 0, 0, 0);
  return { type: (SUBSYSTEM << 8) | type, flags: NLM_F.REQUEST | flags, body: Buffer.concat([nfgenmsg, ...attributes]) };
}

/** All of it or nothing. */
function batch(netlink: Netlink, messages: readonly NetlinkMessage[]): number {
  const border = (type: number): NetlinkMessage => ({ type, flags: NLM_F.REQUEST, body: Uint8Array.of(0, 0, 0, SUBSYSTEM) });
  const last = messages.at(-1);
  if (last === undefined) return 0;
  const acknowledged = { ...last, flags: last.flags | NLM_F.ACK };
  return netlink.request([border(BATCH_BEGIN), ...messages.slice(0, -1), acknowledged, border(BATCH_END)]);
}

const hooks = { input: 1, output: 3 } as const; // NF_INET_LOCAL_IN, NF_INET_LOCAL_OUT

function makeTables(netlink: Netlink, name: string, flags: number): number {
  const chain = (family: number, [own, hook]: readonly [string, number]): NetlinkMessage => {
    const place = encodeAttribute(4, [number(1, hook), number(2, -300)]); // NFTA_CHAIN_HOOK: hook, priority
    return message(NEWCHAIN, family, [text(1, name), text(3, own), place, text(7, 'filter')], NLM_F.CREATE);
  };
  const messages = Object.values(families).flatMap((family) => {
    const table = message(NEWTABLE, family, [text(1, name), number(2, flags)], NLM_F.CREATE);
    return [table, chain(family, ['input', hooks.input]), chain(family, ['output', hooks.output])];
  });
  return batch(netlink, messages);
}

function addFlow(netlink: Netlink, name: string, { local, localPort, remote, remotePort }: Flow): number {
  const rule = (chain: string, from: [Uint8Array, number], to: [Uint8Array, number]): NetlinkMessage => {
    const isFour = local.length === 4;
    const ports = Uint8Array.of(from[1] >> 8, from[1], to[1] >> 8, to[1]);
    const IPPROTO_TCP = 6;
    const expressions = [
      ...matches(NETWORK, isFour ? 9 : 6, Uint8Array.of(IPPROTO_TCP)),
      ...matches(NETWORK, isFour ? 12 : 8, from[0]),
      ...matches(NETWORK, isFour ? 16 : 24, to[0]),
      ...matches(TRANSPORT, 0, ports),
      expression('immediate', [number(1, 0), encodeAttribute(2, [encodeAttribute(2, [number(1, 0)])])]), // verdict: NF_DROP
    ];
    const family = isFour ? families[4] : families[16];
    return message(
      NEWRULE,
      family,
      [text(1, name), text(2, chain), encodeAttribute(4, expressions)],
      NLM_F.CREATE | NLM_F.APPEND,
    );
  };
  const [here, there]: [[Uint8Array, number], [Uint8Array, number]] = [
    [local, localPort],
    [remote, remotePort],
  ];
  return batch(netlink, [rule('input', there, here), rule('output', here, there)]);
}

const [NETWORK, TRANSPORT] = [1, 2]; // enum nft_payload_bases

function expression(name: string, data: readonly Uint8Array[]): Uint8Array {
  return encodeAttribute(1, [text(1, name), encodeAttribute(2, data)]);
}

/** Loads bytes of a header into register 1 and goes on only if they are these. */
function matches(base: number, offset: number, value: Uint8Array): Uint8Array[] {
  const register = 1;
  return [
    expression('payload', [number(1, register), number(2, base), number(3, offset), number(4, value.length)]),
    expression('cmp', [number(1, register), number(2, 0), encodeAttribute(3, [encodeAttribute(1, value)])]),
  ];
}
