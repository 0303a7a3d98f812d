/** Devices without state: null, zero, full, random, urandom. Source: Documentation/admin-guide/devices.txt (major 1). */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { major, minor } from '../linux/proc/fds.ts';
import { fileType, restartByPath, type OpenFile, type OpenFileKind } from './open-file.ts';
import { node, type ObjectKind } from './object.ts';

export interface OpenDevice {
  readonly path: string;
  readonly flags: number;
}

const record: RecordKind<OpenDevice> = defineKind<OpenDevice>({
  tag: 0x53,
  name: 'open-device',
  parents: ['files'],
  title: (value) => value.path,
  schema: s.record({ path: s.text(4096), flags: s.hex(s.uint(0xffff_ffff)) }),
});

const memoryMajor = 1;
const pathOfMinor: Readonly<Record<number, string>> = {
  3: '/dev/null',
  5: '/dev/zero',
  7: '/dev/full',
  8: '/dev/random',
  9: '/dev/urandom',
};

function pathOf({ stat }: OpenFile): string | undefined {
  return fileType.isCharacterDevice(stat) && major(stat.rdev) === memoryMajor ? pathOfMinor[minor(stat.rdev)] : undefined;
}

export const openDevice: ObjectKind<OpenDevice> & OpenFileKind = {
  record,
  title: 'Device without state',
  carried: '/dev/null, zero, full, random, urandom.',
  refused: 'All other devices.',

  recognise: (file) => pathOf(file) !== undefined,
  collect: (file, objref) => [node(record, { path: pathOf(file) ?? file.link, flags: file.info.flags }, { objref })],
  restart: (value, rebuild, { objref }) => restartByPath(rebuild, objref, value, value.flags, undefined),
};
