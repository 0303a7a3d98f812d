/** Netlink sockets: NETLINK_ROUTE and its like. Source: man 7 netlink, man 7 sock_diag. */
import { closeSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { syscallError } from '../linux/ffi.ts';
import { POLLIN, pollNow } from '../linux/poll-now.ts';
import { readNetlinkSockets, type NetlinkSocket } from '../linux/sock-diag.ts';
import { AF, encodeAddress } from '../linux/socket-address.ts';
import { hasUnreadableFilter } from '../linux/socket-options.ts';
import { openSocket, setOption, SOCK, withAddress } from '../linux/sockets.ts';
import { localCall } from './local-descriptors.ts';
import { node, type ObjectKind } from './object.ts';
import { fdBlocker, type OpenFileKind } from './open-file.ts';
import { collectOptions, filterBlocker, optionsSchema, restoreOptions, type StoredOption } from './socket-options.ts';
import { sortOf, withDuplicate } from './socket-snapshot.ts';

export interface NetlinkValue {
  readonly type: 'raw' | 'dgram';
  /** NETLINK_* */
  readonly protocol: number;
  readonly flags: number;
  /** 0 when it has none. */
  readonly port: number;
  readonly groups: readonly number[];
  readonly remotePort: number;
  readonly options: readonly StoredOption[];
}

const word = s.uint(0xffff_ffff);

const record: RecordKind<NetlinkValue> = defineKind<NetlinkValue>({
  tag: 0x84,
  name: 'netlink-socket',
  parents: ['files'],
  title: ({ protocol, port, groups }) =>
    `protocol ${protocol} port ${port}${groups.length > 0 ? ` groups ${groups.join(', ')}` : ''}`,
  schema: s.record({
    type: s.oneOf('raw', 'dgram'),
    protocol: s.uint(255),
    flags: s.hex(word),
    port: word,
    groups: s.array(s.uint(65536), 4096),
    remotePort: word,
    options: optionsSchema,
  }),
});

const SOL_NETLINK = 270;
const NETLINK_ADD_MEMBERSHIP = 1;
const closeOnExec = 0o2000000;
/** Protocols whose sockets hold nothing in the kernel but what can be seen (linux/netlink.h). */
const carriedProtocols: Readonly<Record<number, string>> = {
  0: 'NETLINK_ROUTE',
  2: 'NETLINK_USERSOCK',
  4: 'NETLINK_SOCK_DIAG',
  15: 'NETLINK_KOBJECT_UEVENT',
  16: 'NETLINK_GENERIC',
};

export const netlinkSocket: ObjectKind<NetlinkValue> & OpenFileKind = {
  record,
  title: 'Netlink socket',
  carried: 'Routing, sockets, devices, generic: port, groups, options, filter.',
  refused:
    'Other protocols (NETFILTER, AUDIT…), whose state in the kernel cannot be seen; answers of the kernel that wait to be received.',

  recognise: (file, _table, collection) => sortOf(collection, file)?.family === AF.NETLINK,

  collect: (file, objref, _table, collection) =>
    withDuplicate(collection, file, (fd) => {
      const { type, protocol } = sortOf(collection, file) ?? { type: SOCK.RAW, protocol: 0 };
      if (carriedProtocols[protocol] === undefined)
        return fdBlocker(
          file,
          `netlink protocol ${protocol} holds state in the kernel that cannot be seen`,
          'Let the program close it',
        );
      if ((pollNow(fd, POLLIN) & POLLIN) !== 0)
        return fdBlocker(file, 'messages of the kernel wait to be received', 'Try again, when the program has received them');
      if (hasUnreadableFilter(fd)) return filterBlocker(file);
      const ino = Number(file.stat.ino & 0xffff_ffffn);
      const found = readNetlinkSockets().find((socket) => socket.ino === ino);
      const value: NetlinkValue = {
        type: type === SOCK.DGRAM ? 'dgram' : 'raw',
        protocol,
        flags: file.info.flags & ~closeOnExec,
        port: found?.port ?? 0,
        groups: groupsOf(found),
        remotePort: found?.remotePort ?? 0,
        options: collectOptions(fd, { family: AF.NETLINK, type, protocol, options: ['socket', 'netlink'] }),
      };
      return [node(record, value, { objref })];
    }),

  restart(value, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => open(value, rebuild.notes));
  },
};

function groupsOf(socket: NetlinkSocket | undefined): number[] {
  return [...(socket?.groups ?? [])].flatMap((byte, index) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => ((byte >> bit) & 1) !== 0).map((bit) => index * 8 + bit + 1),
  );
}

function open({ type, protocol, port, groups, remotePort, options, flags }: NetlinkValue, notes: string[]): number {
  const fd = openSocket(AF.NETLINK, type === 'raw' ? SOCK.RAW : SOCK.DGRAM, protocol);
  const must = (name: string, result: number, action: string): void => {
    if (result < 0) throw syscallError(name, result, action, { code: 'RESTART_FAILED', phase: 'restore' });
  };
  try {
    const early = restoreOptions(fd, options, 'early');
    if (port !== 0) {
      const address = encodeAddress({ family: 'netlink', port, groups: 0 });
      must('bind', withAddress('bind', fd, address), `Cannot bind a netlink socket to port ${port} again`);
    }
    for (const group of groups)
      must(
        'setsockopt',
        setOption(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group),
        `Cannot join the netlink group ${group} again`,
      );
    if (remotePort !== 0)
      must(
        'connect',
        withAddress('connect', fd, encodeAddress({ family: 'netlink', port: remotePort, groups: 0 })),
        'Cannot connect a netlink socket again',
      );
    for (const name of [...early, ...restoreOptions(fd, options, 'late')])
      notes.push(`A netlink socket could not be given its ${name}`);
    const F_SETFL = 4;
    localCall('set the flags of a socket', 'fcntl', [fd, F_SETFL, flags]);
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
