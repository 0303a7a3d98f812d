/** Counters for events. Source: man 2 eventfd, fs/eventfd.c (eventfd_show_fdinfo). */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { LocalMemory } from '../linux/ffi.ts';
import { hexField, numberField } from './fdinfo-fields.ts';
import { localCall } from './local-descriptors.ts';
import { fdBlocker, setStatusFlags, type OpenFileKind } from './open-file.ts';
import { node, type ObjectKind } from './object.ts';

export interface EventFd {
  readonly count: bigint;
  /** Each read takes one. */
  readonly semaphore: boolean;
  readonly flags: number;
}

const record: RecordKind<EventFd> = defineKind<EventFd>({
  tag: 0x64,
  name: 'eventfd',
  parents: ['files'],
  title: ({ count, semaphore }) => `${semaphore ? 'semaphore' : 'counter'} at ${count}`,
  schema: s.record({ count: s.u64(), semaphore: s.bool(), flags: s.hex(s.uint(0xffff_ffff)) }),
});

const EFD_CLOEXEC = 0o2000000;
const EFD_SEMAPHORE = 1;
/** Only the kernel itself can make a counter overflow (and then poll says POLLERR). */
const overflow = 0xffff_ffff_ffff_ffffn;

export const eventFd: ObjectKind<EventFd> & OpenFileKind = {
  record,
  title: 'eventfd',
  carried: 'Count, semaphore mode, status flags.',
  refused: 'Kernels that do not show whether it is a semaphore (before 6.5); a counter that has overflowed.',

  recognise: ({ link }) => link === 'anon_inode:[eventfd]',

  collect(file, objref) {
    const { lines, flags } = file.info;
    const semaphore = numberField(lines, 'eventfd-semaphore');
    if (semaphore === undefined)
      return fdBlocker(file, 'this kernel does not show whether the eventfd is a semaphore', 'Use Linux 6.5 or newer');
    const count = hexField(lines, 'eventfd-count');
    if (count === overflow) return fdBlocker(file, 'the counter of the eventfd has overflowed', 'Let the program read it');
    return [node(record, { count, semaphore: semaphore !== 0, flags }, { objref })];
  },

  restart({ count, semaphore, flags }, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const fd = localCall('make an eventfd', 'eventfd2', [0, EFD_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0)]);
      const memory = LocalMemory.scratch('eventfd', 8);
      memory.view.setBigUint64(0, count, true);
      if (count > 0n) localCall('set the count of an eventfd', 'write', [fd, memory.address, 8]);
      setStatusFlags(fd, flags);
      return fd;
    });
  },
};
