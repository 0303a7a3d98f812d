/**
 * The clocks that count from the start of the machine, as the program sees them. On a machine that has been up for less time they
 * would go backwards, and what waits for an absolute time would wait for days: there the program gets a time namespace.
 * Source: man 7 time_namespaces, kernel/time/namespace.c.
 */
import { readFileSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { timespec } from '../linux/abi/time.ts';
import { LocalMemory, mustSyscall } from '../linux/ffi.ts';
import { readStatus } from '../linux/proc/status.ts';
import { readClockOffsets, writeClockOffsets, type ClockOffsets } from '../linux/proc/timens-offsets.ts';
import type { Collection, ObjectKind, Rebuild } from './object.ts';

export interface Clocks {
  /** Which run of which machine. */
  readonly boot: string;
  /** Nanoseconds that CLOCK_MONOTONIC showed to the program. */
  readonly monotonic: bigint;
  readonly boottime: bigint;
  /** What its time namespace added to them. */
  readonly offsets: ClockOffsets;
}

const record: RecordKind<Clocks> = defineKind<Clocks>({
  tag: 0xc8,
  name: 'clocks',
  parents: ['task'],
  schema: s.record({
    boot: s.text(64),
    monotonic: s.i64(),
    boottime: s.i64(),
    offsets: s.record({ monotonic: s.i64(), boottime: s.i64() }),
  }),
});

const CLOCK_MONOTONIC = 1;
const CLOCK_BOOTTIME = 7;
const none: ClockOffsets = { monotonic: 0n, boottime: 0n };

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** Of the machine, outside of any time namespace. */
function machineClocks(): ClockOffsets {
  const own = readClockOffsets(process.pid) ?? none;
  return { monotonic: read(CLOCK_MONOTONIC) - own.monotonic, boottime: read(CLOCK_BOOTTIME) - own.boottime };
}

function read(clock: number): bigint {
  const memory = LocalMemory.scratch('clock', timespec.size);
  mustSyscall('clock_gettime', `Cannot read the clock ${clock}`, clock, memory.address);
  return timespec.get(memory.view, 'tv_sec') * 1_000_000_000n + timespec.get(memory.view, 'tv_nsec');
}

export function collectClocks({ pid }: Collection): Clocks {
  const offsets = readClockOffsets(pid) ?? none;
  const machine = machineClocks();
  return {
    boot: bootId(),
    monotonic: machine.monotonic + offsets.monotonic,
    boottime: machine.boottime + offsets.boottime,
    offsets,
  };
}

export const clocks: ObjectKind<Clocks> = {
  record,
  title: 'Clocks',
  carried:
    'CLOCK_MONOTONIC and CLOCK_BOOTTIME never go backwards: on a machine that has been up for less time, or if the program had one, it gets a time namespace.',
  refused: '',

  restart(value, rebuild) {
    const { tracee, finals, notes } = rebuild;
    const now = readClockOffsets(tracee.tid);
    const wanted = offsetsFor(value, now ?? none);
    finals.clockOffsets = now ?? none;
    if (wanted === undefined) return;
    if (now !== undefined && mayMakeNamespace(tracee.tid)) return enterNamespace(wanted, rebuild);
    notes.push(
      'CLOCK_MONOTONIC shows less than it did: what waits for an absolute time waits longer. A time namespace, which would prevent that, needs CAP_SYS_ADMIN and CAP_SYS_TIME.',
    );
  },
};

/** Undefined when the clocks are right as they are. */
function offsetsFor({ boot, monotonic, boottime, offsets }: Clocks, now: ClockOffsets): ClockOffsets | undefined {
  if (boot === bootId()) {
    const same = offsets.monotonic === now.monotonic && offsets.boottime === now.boottime;
    return same ? undefined : offsets;
  }
  const machine = machineClocks();
  const behind = {
    monotonic: monotonic - machine.monotonic - now.monotonic,
    boottime: boottime - machine.boottime - now.boottime,
  };
  if (behind.monotonic <= 0n && behind.boottime <= 0n) return undefined;
  const add = (offset: bigint, missing: bigint): bigint => offset + (missing > 0n ? missing : 0n);
  return { monotonic: add(now.monotonic, behind.monotonic), boottime: add(now.boottime, behind.boottime) };
}

const CAP_SYS_ADMIN = 1n << 21n;
const CAP_SYS_TIME = 1n << 25n;

function mayMakeNamespace(tid: number): boolean {
  return [tid, process.pid].every((pid) => (readStatus(pid).capEff & (CAP_SYS_ADMIN | CAP_SYS_TIME)) === (CAP_SYS_ADMIN | CAP_SYS_TIME)); // prettier-ignore
}

/** The task has one thread yet, and no child: setns asks for that, and the offsets can be set while nobody is inside. */
function enterNamespace(offsets: ClockOffsets, rebuild: Rebuild): void {
  const CLONE_NEWTIME = 0x80;
  rebuild.flush();
  rebuild.batch.add('make a time namespace', 'unshare', [CLONE_NEWTIME]);
  rebuild.flush();
  writeClockOffsets(rebuild.tracee.tid, offsets);
  rebuild.room(3, 64);
  const { batch, freeFd } = rebuild;
  batch.add('open the time namespace', 'open', [batch.text('/proc/self/ns/time_for_children'), 0x80000, 0]);
  batch.add('enter the time namespace', 'setns', [freeFd, CLONE_NEWTIME]);
  batch.add('close the time namespace', 'close', [freeFd]);
  rebuild.flush();
  rebuild.finals.clockOffsets = offsets;
}
