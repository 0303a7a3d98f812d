/**
 * What becomes of a system call that our stop interrupted. No signal caused the interruption, so neither the program
 * that goes on nor the restarted one may see an EINTR, and a call with a time limit goes on with what was left of it.
 *
 * The kernel shows its intention in the result register (include/linux/errno.h): -ERESTARTSYS, -ERESTARTNOINTR and
 * -ERESTARTNOHAND make the same call again; -ERESTART_RESTARTBLOCK goes on through restart_syscall with a deadline
 * that only the kernel knows; some calls (epoll_wait, semop, sigtimedwait…: man 7 signal) just answer -EINTR.
 * The task goes on with these registers, from a stop in which the kernel looks for signals: then the kernel itself does
 * the right thing, also when a signal came in the meantime. Only a task that heals itself makes its call again by hand.
 */
import type { Architecture, BlockedCall, Registers } from '../arch/architecture.ts';
import { readWchan } from '../linux/proc/values.ts';
import { syscallName } from '../linux/syscalls.ts';
import { findNote } from './sleep-note.ts';
import { formatOf, looksLikeTime64, readTime, writeTime, type TimeFormat, type TimeUnit } from './time-in-task.ts';

const EINTR = -4;
const ERESTARTSYS = -512;
const ERESTARTNOINTR = -513;
const ERESTARTNOHAND = -514;
const ERESTART_RESTARTBLOCK = -516;

/** A sleep that goes on through the kernel's restart block. */
export interface Sleep {
  readonly number: number;
  readonly parameters: readonly bigint[];
  /** Nanoseconds that were left. */
  readonly remaining: bigint;
}

export interface Settled {
  /** The registers with which the task goes on, the kernel's intention in them. */
  readonly registers: Registers;
  /** The same for a task that is released anywhere else. */
  readonly healing: Registers;
  readonly sleep?: Sleep;
  /** Where the time limit of a call that is made again stands, already reduced to what was left at the stop. */
  readonly limit?: Limit;
}

/** In a register (milliseconds), or in the task's memory. */
type Limit =
  | { readonly unit: 'ms'; readonly register: string }
  | { readonly unit: 'memory'; readonly format: TimeFormat; readonly address: bigint };

export interface Circumstances {
  readonly tid: number;
  readonly architecture: Architecture;
  /** Nanoseconds that the task had been asleep; undefined where the kernel does not tell. */
  readonly asleep: bigint | undefined;
  /** A signal is waiting to be delivered: then an EINTR is its own. */
  readonly signalPending: boolean;
  /** What an earlier checkpoint or restart left in the vdso's room. */
  readonly notes: Uint8Array;
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly now: bigint;
}

/** A call with the parameter that limits its time: milliseconds, or the address of a time. */
type Limits = Readonly<Record<string, readonly [parameter: number, unit: 'ms' | TimeUnit]>>;

/** Calls that the kernel makes again itself, having written what was left of the time to memory. Source: fs/select.c. */
const limitWritten: Limits = {
  ppoll: [2, 'timespec'],
  ppoll_time64: [2, 'timespec64'],
  pselect6: [4, 'timespec'],
  pselect6_time64: [4, 'timespec64'],
  select: [4, 'timeval'],
  _newselect: [4, 'timeval'],
};

/** Calls that answer EINTR. */
const limitOfCall: Limits = {
  epoll_wait: [3, 'ms'],
  epoll_pwait: [3, 'ms'],
  epoll_pwait2: [3, 'timespec64'],
  semtimedop: [3, 'timespec'],
  semtimedop_time64: [3, 'timespec64'],
  rt_sigtimedwait: [2, 'timespec'],
  rt_sigtimedwait_time64: [2, 'timespec64'],
  io_getevents: [4, 'timespec'],
  io_pgetevents: [4, 'timespec'],
  io_pgetevents_time64: [4, 'timespec64'],
};

/** The one call for all of System V IPC: semtimedop with its time as the last parameter. Source: ipc/syscall.c. */
function isSemtimedop({ parameters: [operation = 0n] }: BlockedCall): boolean {
  const SEMTIMEDOP = 4n;
  return (operation & 0xffffn) === SEMTIMEDOP;
}

export function settle(registers: Registers, circumstances: Circumstances): Settled {
  const { architecture } = circumstances;
  const call = architecture.blockedCall(registers);
  if (call === undefined) return { registers, healing: registers };
  switch (call.result) {
    case ERESTARTSYS:
    case ERESTARTNOINTR:
    case ERESTARTNOHAND:
      return { registers, healing: architecture.callAgain(registers, call.number), ...writtenLimit(call, architecture) };
    case ERESTART_RESTARTBLOCK:
      return settleSleep(registers, call, circumstances);
    case EINTR:
      if (circumstances.signalPending) break;
      return madeAgain(call.number, shorten(registers, call, circumstances), architecture);
  }
  return { registers, healing: architecture.withResult(registers, call.result) };
}

/** Made again unless a handler runs first: then the call answers EINTR, as it would have. */
function madeAgain(
  number: number,
  { registers, limit }: { registers: Registers; limit?: Limit },
  architecture: Architecture,
): Settled {
  const settled = {
    registers: architecture.interrupted(registers, number, ERESTARTNOHAND),
    healing: architecture.callAgain(registers, number),
  };
  return limit === undefined ? settled : { ...settled, limit };
}

function writtenLimit(call: BlockedCall, { abi }: Architecture): { limit?: Limit } {
  const [parameter = 0, unit = 'ms'] = limitWritten[syscallName(abi.numbers, call.number)] ?? [];
  const address = call.parameters[parameter] ?? 0n;
  return unit === 'ms' || address === 0n ? {} : { limit: { unit: 'memory', format: formatOf(unit, abi), address } };
}

/**
 * The registers for a task that goes on after having been stopped for `stopped` nanoseconds: a call that is made again
 * ends when it would have ended. (Sleeps that the kernel continues keep their deadline by themselves.)
 */
export function compensate(tid: number, { registers, limit }: Settled, stopped: bigint): Registers {
  if (limit === undefined) return registers;
  if (limit.unit === 'ms') {
    const left = atLeastZero((registers[limit.register] ?? 0n) - stopped / 1_000_000n);
    return { ...registers, [limit.register]: left };
  }
  const left = readTime(tid, limit.address, limit.format);
  writeTime(tid, limit.address, atLeastZero(left - stopped), limit.format);
  return registers;
}

function settleSleep(registers: Registers, call: BlockedCall, circumstances: Circumstances): Settled {
  const { architecture } = circumstances;
  const number = originalNumber(registers, call, circumstances);
  const remaining = number === undefined ? undefined : remainingTime(number, registers, call, circumstances);
  if (number !== undefined && remaining === undefined) return madeAgain(number, { registers }, architecture);
  const healing = architecture.callAgain(registers, numberOf('restart_syscall', architecture));
  if (number === undefined || remaining === undefined) return { registers, healing };
  return { registers, healing, sleep: { number, parameters: call.parameters, remaining } };
}

function numberOf(name: string, { abi }: Architecture): number {
  const number = abi.numbers[name];
  if (number === undefined) throw new RangeError(`there is no system call ${name}`);
  return number;
}

/** restart_syscall hides which call it continues: our note says it, or the place where the task sleeps in the kernel. */
function originalNumber(registers: Registers, call: BlockedCall, circumstances: Circumstances): number | undefined {
  const { architecture, tid } = circumstances;
  if (call.number !== numberOf('restart_syscall', architecture)) return call.number;
  const note = matchingNote(registers, call, circumstances);
  if (note !== undefined) return note.number;
  const place = readWchan(tid) ?? '';
  const variant = (name: string, address = 0n): number =>
    numberOf(
      `${name}_time64` in architecture.abi.numbers && looksLikeTime64(tid, address) ? `${name}_time64` : name,
      architecture,
    );
  if (place.includes('poll') || place.includes('select')) return numberOf('poll', architecture);
  if (place.includes('futex')) return variant('futex', call.parameters[3]);
  if (!place.includes('nanosleep') && !place.includes('nsleep')) return undefined;
  const hasClock = (call.parameters[0] ?? 0n) < 16n; // clock ids are small, addresses are not
  return hasClock ? variant('clock_nanosleep', call.parameters[2]) : numberOf('nanosleep', architecture);
}

function matchingNote(
  registers: Registers,
  call: BlockedCall,
  { tid, architecture, notes, now }: Circumstances,
): { number: number; deadline: bigint } | undefined {
  const found = findNote(notes, tid, call.parameters, registers, architecture);
  return found !== undefined && found.deadline >= now ? found : undefined;
}

/** Nanoseconds left; undefined for a call without relative time limit, which is simply made again. */
function remainingTime(
  number: number,
  registers: Registers,
  call: BlockedCall,
  circumstances: Circumstances,
): bigint | undefined {
  const { tid, architecture, now } = circumstances;
  const [first = 0n, second = 0n, third = 0n, fourth = 0n] = call.parameters;
  const elapsed = circumstances.asleep ?? 0n;
  const continued = call.number === numberOf('restart_syscall', architecture);
  const note = continued ? matchingNote(registers, call, circumstances) : undefined;
  const name = syscallName(architecture.abi.numbers, number);
  const format = formatOf(name.endsWith('_time64') ? 'timespec64' : 'timespec', architecture.abi);
  const readTimespec = (pid: number, address: bigint): bigint => readTime(pid, address, format);
  switch (name.replace('_time64', '')) {
    case 'nanosleep': // the kernel has written the rest to the second parameter, if there is one
      if (second !== 0n) return readTimespec(tid, second);
      return note === undefined ? atLeastZero(readTimespec(tid, first) - elapsed) : note.deadline - now;
    case 'clock_nanosleep':
      if (fourth !== 0n) return readTimespec(tid, fourth);
      return note === undefined ? atLeastZero(readTimespec(tid, third) - elapsed) : note.deadline - now;
    case 'poll': {
      const milliseconds = BigInt.asIntN(32, third);
      if (milliseconds < 0n) return undefined;
      return note === undefined ? atLeastZero(milliseconds * 1_000_000n - elapsed) : note.deadline - now;
    }
    case 'futex': {
      const FUTEX_WAIT = 0n;
      if (fourth === 0n || (second & 0x7fn) !== FUTEX_WAIT) return undefined; // no limit, or an absolute one
      return note === undefined ? atLeastZero(readTimespec(tid, fourth) - elapsed) : note.deadline - now;
    }
    default:
      return undefined;
  }
}

/** The registers of a call to be made again, with its time limit reduced by what has passed. */
function shorten(registers: Registers, call: BlockedCall, circumstances: Circumstances): { registers: Registers; limit?: Limit } {
  const { tid, architecture, asleep } = circumstances;
  const { abi } = architecture;
  const callName = syscallName(abi.numbers, call.number);
  const limit = callName === 'ipc' && isSemtimedop(call) ? ([5, 'timespec'] as const) : limitOfCall[callName];
  if (limit === undefined || asleep === undefined) return { registers };
  const [index, unit] = limit;
  const parameter = call.parameters[index] ?? 0n;
  const name = abi.parameters[index] ?? '';
  if (unit === 'ms') {
    const milliseconds = BigInt.asIntN(32, parameter);
    if (milliseconds <= 0n) return { registers };
    const left = atLeastZero(milliseconds - asleep / 1_000_000n);
    return { registers: { ...registers, [name]: left }, limit: { unit, register: name } };
  }
  if (parameter === 0n) return { registers };
  // The program's own timespec is const: the shorter one goes below the red zone, which no caller relies on.
  const format = formatOf(unit, abi);
  const stack = registers[architecture.stackPointer] ?? 0n;
  const place = (stack - architecture.redZone - 64n) & ~15n;
  writeTime(tid, place, atLeastZero(readTime(tid, parameter, format) - asleep), format);
  return { registers: { ...registers, [name]: place }, limit: { unit: 'memory', format, address: place } };
}

function atLeastZero(value: bigint): bigint {
  return value > 0n ? value : 0n;
}
