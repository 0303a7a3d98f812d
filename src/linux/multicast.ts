/**
 * Multicast memberships of a socket. The kernel lists the groups of each interface, and tells of a socket whether it is a
 * member of a given one. Source: man 7 ip (IP_ADD_MEMBERSHIP), RFC 3678, net/ipv4/igmp.c: ip_mc_gsfget.
 */
import { readFileSync } from 'node:fs';
import { AF, encodeAddress } from './socket-address.ts';
import { queryOption, setOption } from './sockets.ts';
import { viewOf } from './structs.ts';

const MCAST_JOIN_GROUP = 42;
const MCAST_MSFILTER = 48;
const storage = 128;
/** struct group_filter: interface, group, mode, number of sources. */
const filterHead = 8 + storage + 8;
const maxSources = 64;

export interface Membership {
  readonly interface: number;
  /** 4 or 16 bytes. */
  readonly group: Uint8Array;
  /** 0: all but the sources, 1: these sources only (MCAST_EXCLUDE, MCAST_INCLUDE). */
  readonly mode: number;
  readonly sources: readonly Uint8Array[];
}

interface Group {
  readonly interface: number;
  readonly group: Uint8Array;
}

/** The groups that anybody is a member of, from /proc/net/igmp and igmp6. */
export function readGroups(family: number): Group[] {
  return family === AF.INET ? parseIgmp(text('/proc/net/igmp')) : parseIgmp6(text('/proc/net/igmp6'));
}

function text(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // a kernel without multicast
  }
}

export function parseIgmp(content: string): Group[] {
  const groups: Group[] = [];
  let index = 0;
  for (const line of content.split('\n')) {
    const device = /^(\d+)\t/.exec(line)?.[1];
    if (device !== undefined) index = Number(device);
    const hex = /^\t+([0-9A-F]{8})\s/.exec(line)?.[1];
    if (hex !== undefined) groups.push({ interface: index, group: Uint8Array.from(Buffer.from(hex, 'hex').reverse()) });
  }
  return groups;
}

export function parseIgmp6(content: string): Group[] {
  return [...content.matchAll(/^(\d+)\s+\S+\s+([0-9a-f]{32})\s/gm)].map(([, index, hex = '']) => ({
    interface: Number(index),
    group: Uint8Array.from(Buffer.from(hex, 'hex')),
  }));
}

const levelOf = (group: Uint8Array): number => (group.length === 4 ? 0 : 41); // SOL_IP, SOL_IPV6

function address(bytes: Uint8Array): Uint8Array {
  const place = { address: bytes, port: 0 };
  return encodeAddress(bytes.length === 4 ? { family: 'inet', ...place } : { family: 'inet6', ...place, flow: 0, scope: 0 });
}

function request(index: number, group: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  viewOf(bytes).setUint32(0, index, true);
  bytes.set(address(group), 8);
  return bytes;
}

/** Which of these groups the socket is a member of. */
export function readMemberships(fd: number, groups: readonly Group[]): Membership[] {
  return groups.flatMap(({ interface: index, group }) => {
    const query = request(index, group, filterHead + maxSources * storage);
    viewOf(query).setUint32(filterHead - 4, maxSources, true);
    const answer = queryOption(fd, levelOf(group), MCAST_MSFILTER, query);
    if (typeof answer === 'number') return [];
    const view = viewOf(answer);
    const count = Math.min(view.getUint32(filterHead - 4, true), maxSources);
    const from = group.length === 4 ? 4 : 8; // of an address in its sockaddr
    const sources = Array.from({ length: count }, (_, n) => {
      const at = filterHead + n * storage + from;
      return answer.slice(at, at + group.length);
    });
    return [{ interface: index, group, mode: view.getUint32(filterHead - 8, true), sources }];
  });
}

/** Minus the errno. */
export function join(fd: number, { interface: index, group, mode, sources }: Membership): number {
  const level = levelOf(group);
  const result = setOption(fd, level, MCAST_JOIN_GROUP, request(index, group, 8 + storage));
  if (result < 0 || (mode === 0 && sources.length === 0)) return result;
  const filter = request(index, group, filterHead + sources.length * storage);
  viewOf(filter).setUint32(filterHead - 8, mode, true);
  viewOf(filter).setUint32(filterHead - 4, sources.length, true);
  for (const [n, source] of sources.entries()) filter.set(address(source), filterHead + n * storage);
  return setOption(fd, level, MCAST_MSFILTER, filter);
}
