/** Descriptors from which signals are read. Source: man 2 signalfd, fs/signalfd.c (signalfd_show_fdinfo). */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { hexField } from './fdinfo-fields.ts';
import { localCall } from './local-descriptors.ts';
import { setStatusFlags, type OpenFileKind } from './open-file.ts';
import { node, type ObjectKind } from './object.ts';

export interface SignalFd {
  /** Bit N - 1 for signal N. */
  readonly mask: bigint;
  readonly flags: number;
}

const record: RecordKind<SignalFd> = defineKind<SignalFd>({
  tag: 0x65,
  name: 'signalfd',
  parents: ['files'],
  schema: s.record({ mask: s.hex(s.u64()), flags: s.hex(s.uint(0xffff_ffff)) }),
});

const SFD_CLOEXEC = 0o2000000;

export const signalFd: ObjectKind<SignalFd> & OpenFileKind = {
  record,
  title: 'signalfd',
  carried: 'Signals, status flags.',
  refused: '',

  recognise: ({ link }) => link === 'anon_inode:[signalfd]',
  collect: ({ info }, objref) => [node(record, { mask: hexField(info.lines, 'sigmask'), flags: info.flags }, { objref })],

  restart({ mask, flags }, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const memory = LocalMemory.scratch('signalfd', 8);
      memory.view.setBigUint64(0, mask, true);
      const fd = localCall('make a signalfd', 'signalfd4', [-1, memory.address, 8, SFD_CLOEXEC]);
      setStatusFlags(fd, flags);
      return fd;
    });
  },
};
