/** Timers that are read from. Source: man 2 timerfd_create, fs/timerfd.c (timerfd_show, timerfd_read, timerfd_ioctl). */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { borrow, type Place } from '../linux/descriptors.ts';
import { itimerspec, timespec } from '../linux/abi/time.ts';
import { LocalMemory, mustSyscall, syscall } from '../linux/ffi.ts';
import { readFdInfo, type FdInfo } from '../linux/proc/fdinfo.ts';
import { StasisError } from '../errors.ts';
import { numberField, octalField, timeField } from './fdinfo-fields.ts';
import { localCall } from './local-descriptors.ts';
import { setStatusFlags, type OpenFileKind } from './open-file.ts';
import { node, type ObjectKind } from './object.ts';

export interface TimerFd {
  readonly clock: number;
  /** Expirations that were not read yet. */
  readonly ticks: bigint;
  /** Flags of timerfd_settime. */
  readonly settime: number;
  /** Nanoseconds until it expires next, 0 when it does not. */
  readonly remaining: bigint;
  readonly interval: bigint;
  /** When it expires next by the clock on the wall, for a timer that was set to a time of day. */
  readonly deadline?: bigint | undefined;
  readonly flags: number;
}

const nanoseconds = s.u64();
const record: RecordKind<TimerFd> = defineKind<TimerFd>({
  tag: 0x66,
  name: 'timerfd',
  parents: ['files'],
  title: ({ remaining, interval, ticks }) => `in ${remaining} ns, every ${interval} ns, ${ticks} unread`,
  schema: s.record({
    clock: s.uint(63),
    ticks: s.u64(),
    settime: s.uint(0xffff_ffff),
    remaining: nanoseconds,
    interval: nanoseconds,
    deadline: s.optional(nanoseconds),
    flags: s.hex(s.uint(0xffff_ffff)),
  }),
});

const TFD_CLOEXEC = 0o2000000;
const TFD_TIMER_ABSTIME = 1;
const TFD_IOC_SET_TICKS = 0x40085400;
const CLOCK_REALTIME = 0;
const CLOCK_REALTIME_ALARM = 8;
const second = 1_000_000_000n;

function nowOf(clock: number): bigint {
  const memory = LocalMemory.scratch('timespec', timespec.size);
  mustSyscall('clock_gettime', 'Cannot read a clock', clock, memory.address);
  const { tv_sec, tv_nsec } = timespec.read(memory.view);
  return tv_sec * second + tv_nsec;
}

/**
 * A periodic timer that has expired stands still until it is looked at; only then the kernel counts what has passed
 * since. So it is looked at, which changes nothing for the program.
 */
function upToDate(place: Place, info: FdInfo): FdInfo {
  const isBehind = timeField(info.lines, 'it_interval') > 0n && (numberField(info.lines, 'ticks') ?? 0) > 0;
  if (!isBehind) return info;
  borrow(place, (fd) => {
    const memory = LocalMemory.scratch('itimerspec', itimerspec.size);
    mustSyscall('timerfd_gettime', 'Cannot look at a timer', fd, memory.address);
  });
  return readFdInfo(place.pid, place.fd);
}

export const timerFd: ObjectKind<TimerFd> & OpenFileKind = {
  record,
  title: 'timerfd',
  carried: 'Clock, time that remains (or the time of day to which it was set), interval, expirations not read yet, status flags.',
  refused: '',

  recognise: ({ link }) => link === 'anon_inode:[timerfd]',

  collect(file, objref, _table, { pid }) {
    const { lines, flags } = upToDate({ pid, fd: file.fd }, file.info);
    const clock = numberField(lines, 'clockid') ?? 0;
    const settime = octalField(lines, 'settime flags');
    const interval = timeField(lines, 'it_interval');
    const ticks = BigInt(numberField(lines, 'ticks') ?? 0);
    // A periodic timer that expired again since we looked shows 0, although it goes on.
    const remaining = timeField(lines, 'it_value') || (ticks > 0n ? interval : 0n);
    const isTimeOfDay = (clock === CLOCK_REALTIME || clock === CLOCK_REALTIME_ALARM) && (settime & TFD_TIMER_ABSTIME) !== 0;
    const value = {
      clock,
      ticks,
      settime,
      remaining,
      interval,
      flags,
      ...(isTimeOfDay && remaining > 0n && { deadline: nowOf(CLOCK_REALTIME) + remaining }),
    };
    return [node(record, value, { objref })];
  },

  restart(value, rebuild, { objref }) {
    rebuild.descriptors.add(objref, () => {
      const fd = localCall(`make a timer of clock ${value.clock}`, 'timerfd_create', [value.clock, TFD_CLOEXEC]);
      const isAbsolute = (value.settime & TFD_TIMER_ABSTIME) !== 0 && value.remaining > 0n;
      const relative = isAbsolute ? nowOf(value.clock) + value.remaining : value.remaining;
      setTimer(fd, value.settime, value.deadline ?? relative, value.interval);
      if (value.ticks > 0n) setTicks(fd, value.ticks);
      setStatusFlags(fd, value.flags);
      return fd;
    });
  },
};

function setTimer(fd: number, flags: number, value: bigint, interval: bigint): void {
  const memory = LocalMemory.scratch('itimerspec', itimerspec.size);
  itimerspec.write(memory.view, {
    'it_value.tv_sec': value / second,
    'it_value.tv_nsec': value % second,
    'it_interval.tv_sec': interval / second,
    'it_interval.tv_nsec': interval % second,
  });
  localCall('set a timer', 'timerfd_settime', [fd, flags, memory.address, 0]);
}

function setTicks(fd: number, ticks: bigint): void {
  const memory = LocalMemory.scratch('ticks', 8);
  memory.view.setBigUint64(0, ticks, true);
  if (syscall('ioctl', fd, TFD_IOC_SET_TICKS, memory.address) >= 0) return;
  const hint = 'It needs a kernel with CONFIG_CHECKPOINT_RESTORE.';
  throw new StasisError('RESTART_FAILED', `Cannot give a timer its ${ticks} expirations`, { phase: 'restore', hint });
}
