/** Small settings of a thread. Source: man 2 prctl, Documentation/userspace-api/spec_ctrl.rst. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { syscall } from '../linux/ffi.ts';
import { readStatus } from '../linux/proc/status.ts';
import type { ObjectKind, Rebuild, ThreadCollection } from './object.ts';
import { collectPrctl, prctlValues, setPrctl, type PrctlValues, type Settings } from './prctl-setting.ts';

export interface ThreadSettings {
  readonly prctl: PrctlValues;
  /** PR_SPEC_* as PR_GET_SPECULATION_CTRL gives it, where the thread may choose. */
  readonly speculation: PrctlValues;
}

const record: RecordKind<ThreadSettings> = defineKind<ThreadSettings>({
  tag: 0xc9,
  name: 'thread-settings',
  parents: ['thread'],
  schema: s.record({ prctl: prctlValues, speculation: prctlValues }),
});

const PR_MCE_KILL_SET = 1n;
const CAP_SYS_RESOURCE = 1n << 24n;

const table: Settings = {
  TSC: { get: 25, set: 26, written: true },
  TIMERSLACK: { get: 30, set: 29 },
  MCE_KILL: { get: 34, set: 33, parameters: (value) => [PR_MCE_KILL_SET, value] },
  IO_FLUSHER: { get: 58, set: 57 }, // both need CAP_SYS_RESOURCE
  PDEATHSIG: { get: 2, set: 1, written: true, last: true }, // a change of user clears it
};

const PR_GET_SPECULATION_CTRL = 52;
const PR_SET_SPECULATION_CTRL = 53;
const PR_SPEC_PRCTL = 1n;
const PR_SPEC_FORCE_DISABLE = 8n;

const speculation: Settings = Object.fromEntries(
  ['STORE_BYPASS', 'INDIRECT_BRANCH', 'L1D_FLUSH'].map((name, which) => [
    name,
    {
      get: PR_GET_SPECULATION_CTRL,
      set: PR_SET_SPECULATION_CTRL,
      asks: [which],
      parameters: (value: bigint) => [BigInt(which), value & ~PR_SPEC_PRCTL],
    },
  ]),
);

export function collectThreadSettings({ injector }: ThreadCollection): ThreadSettings {
  const choices = collectPrctl(injector, speculation).filter(({ value }) => (value & PR_SPEC_PRCTL) !== 0n);
  return { prctl: collectPrctl(injector, table), speculation: choices };
}

export const threadSettings: ObjectKind<ThreadSettings> = {
  record,
  title: 'Settings of a thread',
  carried:
    'Timer slack, time stamp counter, machine check policy, I/O flusher, signal at the death of the parent, speculation controls.',
  refused: '',

  restart({ prctl, speculation: wanted }, rebuild) {
    rebuild.thread.calls.push(() => {
      setPrctl(withoutFlusher(prctl, rebuild), table, rebuild, false);
      setPrctl(possible(wanted, rebuild), speculation, rebuild, false);
    });
    rebuild.thread.lastCalls.push(() => setPrctl(prctl, table, rebuild, true));
  },
};

/** As set for the daemon of a file system: only a privileged thread may (man 2 PR_SET_IO_FLUSHER). */
function withoutFlusher(values: PrctlValues, { tracee, notes }: Rebuild): PrctlValues {
  const wanted = values.some(({ name, value }) => name === 'IO_FLUSHER' && value !== 0n);
  if (!wanted || (readStatus(tracee.tid).capEff & CAP_SYS_RESOURCE) !== 0n) return values;
  notes.push('The program is no longer marked as I/O flusher: that needs CAP_SYS_RESOURCE.');
  return values.filter(({ name }) => name !== 'IO_FLUSHER');
}

/** Those that differ from what this process hands on and can be had here; the others are reported. */
function possible(wanted: PrctlValues, { notes }: Rebuild): PrctlValues {
  return wanted.filter(({ name, value }) => {
    const asks = speculation[name]?.asks;
    if (asks === undefined) return false;
    const here = BigInt(syscall('prctl', PR_GET_SPECULATION_CTRL, asks[0]));
    if (here === value) return false;
    if (here >= 0n && (here & PR_SPEC_PRCTL) !== 0n && (here & PR_SPEC_FORCE_DISABLE) === 0n) return true;
    notes.push(
      `The speculation control ${name} stays as it is here: ${here < 0n ? 'this machine has none' : 'it cannot be changed'}.`,
    );
    return false;
  });
}
