/** Socket addresses, as values and as the kernel's bytes. Source: man 7 unix, ip, ipv6, netlink, packet. */
import { sockaddr_in, sockaddr_in6, sockaddr_ll, sockaddr_nl, sockaddr_un } from './abi/socket.ts';
import { viewOf } from './structs.ts';

export const AF = { UNSPEC: 0, UNIX: 1, INET: 2, INET6: 10, NETLINK: 16, PACKET: 17 } as const;

export type SocketAddress =
  /** No bytes: a socket without a name. A first byte 0: an abstract name, with everything that follows. Else a path. */
  | { readonly family: 'unix'; readonly name: Uint8Array }
  | { readonly family: 'inet'; readonly address: Uint8Array; readonly port: number }
  | {
      readonly family: 'inet6';
      readonly address: Uint8Array;
      readonly port: number;
      readonly flow: number;
      /** Index of the interface that a link-local address belongs to. */
      readonly scope: number;
    }
  | { readonly family: 'netlink'; readonly port: number; readonly groups: number }
  | { readonly family: 'packet'; readonly protocol: number; readonly interface: number };

/** undefined for a family that this version does not know, or for too few bytes. */
export function decodeAddress(bytes: Uint8Array): SocketAddress | undefined {
  const view = viewOf(bytes);
  if (bytes.length < 2) return undefined;
  switch (view.getUint16(0, true)) {
    case AF.UNIX:
      return { family: 'unix', name: unixName(bytes.slice(2)) };
    case AF.INET:
      if (bytes.length < 8) return undefined;
      return { family: 'inet', address: bytes.slice(4, 8), port: view.getUint16(2) };
    case AF.INET6: {
      if (bytes.length < sockaddr_in6.size) return undefined;
      const { sin6_scope_id: scope } = sockaddr_in6.read(view);
      return { family: 'inet6', address: bytes.slice(8, 24), port: view.getUint16(2), flow: view.getUint32(4), scope };
    }
    case AF.NETLINK: {
      if (bytes.length < sockaddr_nl.size) return undefined;
      const { nl_pid: port, nl_groups: groups } = sockaddr_nl.read(view);
      return { family: 'netlink', port, groups };
    }
    case AF.PACKET:
      if (bytes.length < 8) return undefined;
      return { family: 'packet', protocol: view.getUint16(2), interface: view.getInt32(4, true) };
    default:
      return undefined;
  }
}

/** A path ends at its first zero byte; an abstract name may hold any. */
function unixName(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === 0) return bytes;
  const end = bytes.indexOf(0);
  return end < 0 ? bytes : bytes.subarray(0, end);
}

export function encodeAddress(address: SocketAddress): Uint8Array {
  switch (address.family) {
    case 'unix': {
      const isPath = address.name.length > 0 && address.name[0] !== 0;
      const whole = sockaddr_un.make({ sun_family: AF.UNIX, sun_path: address.name });
      return whole.subarray(0, Math.min(whole.length, 2 + address.name.length + (isPath ? 1 : 0)));
    }
    case 'inet': {
      const bytes = sockaddr_in.make({ sin_family: AF.INET, sin_addr: address.address });
      viewOf(bytes).setUint16(2, address.port);
      return bytes;
    }
    case 'inet6': {
      const bytes = sockaddr_in6.make({ sin6_family: AF.INET6, sin6_addr: address.address, sin6_scope_id: address.scope });
      viewOf(bytes).setUint16(2, address.port);
      viewOf(bytes).setUint32(4, address.flow);
      return bytes;
    }
    case 'netlink':
      return sockaddr_nl.make({ nl_family: AF.NETLINK, nl_pid: address.port, nl_groups: address.groups });
    case 'packet': {
      const bytes = sockaddr_ll.make({ sll_family: AF.PACKET, sll_ifindex: address.interface });
      viewOf(bytes).setUint16(2, address.protocol);
      return bytes;
    }
  }
}

/** For people: `/run/x`, `@abstract`, `127.0.0.1:80`, `[::1]:80`, `[fe80::1%2]:80`. */
export function addressText(address: SocketAddress): string {
  switch (address.family) {
    case 'unix': {
      const text = Buffer.from(address.name).toString('utf8');
      return text === '' ? 'unnamed' : text.replaceAll('\0', '@');
    }
    case 'inet':
      return `${address.address.join('.')}:${address.port}`;
    case 'inet6':
      return `[${ipv6Text(address.address)}${address.scope === 0 ? '' : `%${address.scope}`}]:${address.port}`;
    case 'netlink':
      return `port ${address.port}`;
    case 'packet':
      return `interface ${address.interface}`;
  }
}

/** RFC 5952, but for the mixed notation of mapped addresses, which is the usual one. */
function ipv6Text(bytes: Uint8Array): string {
  if (isMapped(bytes)) return `::ffff:${bytes.subarray(12).join('.')}`;
  const view = viewOf(bytes);
  const words = Array.from({ length: 8 }, (_, index) => view.getUint16(index * 2).toString(16));
  let best = { at: 0, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (words[at + length] === '0') length++;
    if (length > best.length) best = { at, length };
  }
  if (best.length < 2) return words.join(':');
  return `${words.slice(0, best.at).join(':')}::${words.slice(best.at + best.length).join(':')}`;
}

/** An IPv4 address in an IPv6 one (`::ffff:1.2.3.4`). */
export function isMapped(address: Uint8Array): boolean {
  return (
    address.length === 16 && address.subarray(0, 10).every((byte) => byte === 0) && address[10] === 255 && address[11] === 255
  );
}
