/** A UDP datagram as if another had sent it, for a raw socket that writes its own headers. Source: RFC 768, 791, 8200; man 7 raw. */

export interface UdpEnds {
  /** 4 or 16 bytes each. */
  readonly from: Uint8Array;
  readonly fromPort: number;
  readonly to: Uint8Array;
  readonly toPort: number;
}

const udp = 17;

export function udpPacket(ends: UdpEnds, data: Uint8Array): Uint8Array {
  const datagram = new Uint8Array(8 + data.length);
  const view = new DataView(datagram.buffer);
  view.setUint16(0, ends.fromPort);
  view.setUint16(2, ends.toPort);
  view.setUint16(4, datagram.length);
  datagram.set(data, 8);
  view.setUint16(6, checksum([ends.from, ends.to, Uint8Array.of(0, udp, datagram.length >> 8, datagram.length & 255), datagram]));
  return Buffer.concat([ends.from.length === 4 ? header4(ends, datagram.length) : header6(ends, datagram.length), datagram]);
}

/** The kernel fills in identification and checksum (man 7 raw: IP_HDRINCL). */
function header4({ from, to }: UdpEnds, length: number): Uint8Array {
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  header[0] = 0x45;
  view.setUint16(2, 20 + length);
  header[8] = 64;
  header[9] = udp;
  header.set(from, 12);
  header.set(to, 16);
  return header;
}

function header6({ from, to }: UdpEnds, length: number): Uint8Array {
  const header = new Uint8Array(40);
  header[0] = 0x60;
  new DataView(header.buffer).setUint16(4, length);
  header[6] = udp;
  header[7] = 64;
  header.set(from, 8);
  header.set(to, 24);
  return header;
}

function checksum(parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let at = 0; at < part.length; at += 2) sum += ((part[at] ?? 0) << 8) | (part[at + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  }
  return ~sum & 0xffff || 0xffff; // 0 would say that there is none
}
