/** Internet addresses of sockets in an image. */
import { s } from '../image/schema.ts';
import type { Schema } from '../image/schema-types.ts';
import { addressText, decodeAddress, encodeAddress, isMapped, type SocketAddress } from '../linux/socket-address.ts';
import { addressOf } from '../linux/sockets.ts';

export interface InetAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  readonly scope?: number | undefined;
  readonly flow?: number | undefined;
}

const word = s.uint(0xffff_ffff);
export const inetAddressSchema: Schema<InetAddress> = s.record({
  address: s.hex(s.bytes(16)),
  port: s.uint(65535),
  scope: s.optional(word),
  flow: s.optional(word),
});

function fromAddress(address: SocketAddress | undefined): InetAddress | undefined {
  if (address?.family === 'inet') return { address: address.address, port: address.port };
  if (address?.family !== 'inet6') return undefined;
  const { address: bytes, port, scope, flow } = address;
  return { address: bytes, port, ...(scope !== 0 && { scope }), ...(flow !== 0 && { flow }) };
}

export function toAddress({ address, port, scope = 0, flow = 0 }: InetAddress): SocketAddress {
  return address.length === 4
    ? { family: 'inet', address, port }
    : { family: 'inet6', address: sixteen(address), port, scope, flow };
}

function sixteen(address: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(address.subarray(0, 16));
  return bytes;
}

export function sockaddrOf(address: InetAddress): Uint8Array {
  return encodeAddress(toAddress(address));
}

export function inetText(address: InetAddress): string {
  return addressText(toAddress(address));
}

/** Out of the bytes of a sockaddr. */
export function decodeInet(bytes: Uint8Array): InetAddress | undefined {
  return fromAddress(decodeAddress(bytes));
}

/** Where a socket is bound or connected; undefined when it is not. */
export function inetAddressOf(call: 'getsockname' | 'getpeername', fd: number): InetAddress | undefined {
  const bytes = addressOf(call, fd);
  return bytes === undefined ? undefined : decodeInet(bytes);
}

/** Equal for the same place, whichever family names it. */
export function placeOf({ address, port }: { readonly address: Uint8Array; readonly port: number }): string {
  return `${Buffer.from(unmapped(address)).toString('hex')} ${port}`;
}

/** The IPv4 address within an IPv6 one, or the address as it is. */
export function unmapped(address: Uint8Array): Uint8Array {
  return isMapped(address) ? address.subarray(12) : address;
}

export function isUnbound({ address, port }: InetAddress): boolean {
  return port === 0 && isWildcard(address);
}

export function isWildcard(address: Uint8Array): boolean {
  return unmapped(address).every((byte) => byte === 0);
}

/** 127.0.0.0/8, ::1, or the former within the latter. */
export function isLoopback(address: Uint8Array): boolean {
  if (address.length === 4) return address[0] === 127;
  return isMapped(address) ? address[12] === 127 : address.every((byte, index) => byte === (index === 15 ? 1 : 0));
}
