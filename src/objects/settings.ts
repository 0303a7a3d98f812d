/** Small settings of a process that stand nowhere else. Source: man 2 prctl, man 5 proc_pid_oom_score_adj, man 5 core. */
import { writeFileSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readCoredumpFilter, readOomScoreAdj } from '../linux/proc/values.ts';
import type { Collection, ObjectKind, Rebuild } from './object.ts';
import { collectPrctl, prctlValues, setPrctl, type PrctlValues, type Settings } from './prctl-setting.ts';

export interface ProcessSettings {
  readonly prctl: PrctlValues;
  readonly oomScoreAdj: number;
  readonly coredumpFilter?: number | undefined;
}

const record: RecordKind<ProcessSettings> = defineKind<ProcessSettings>({
  tag: 0x35,
  name: 'settings',
  parents: ['task'],
  schema: s.record({
    prctl: prctlValues,
    oomScoreAdj: s.int(),
    coredumpFilter: s.optional(s.hex(s.uint(0xffff_ffff))),
  }),
});

/** PR_GET_… and PR_SET_… of linux/prctl.h that hold for the whole process. */
const table: Settings = {
  CHILD_SUBREAPER: { get: 37, set: 36, written: true },
  THP_DISABLE: { get: 42, set: 41, parameters: (value) => [value & 1n, value & ~1n] }, // flags beside the bit: since 6.18
  MDWE: { get: 66, set: 65, last: true }, // forbids executable memory from then on
  MEMORY_MERGE: { get: 68, set: 67 },
};

export function collectSettings({ pid, injector }: Collection): ProcessSettings {
  const coredumpFilter = readCoredumpFilter(pid);
  return {
    prctl: collectPrctl(injector, table),
    oomScoreAdj: readOomScoreAdj(pid),
    ...(coredumpFilter !== undefined && { coredumpFilter }),
  };
}

export const settings: ObjectKind<ProcessSettings> = {
  record,
  title: 'Settings',
  carried: 'Child subreaper, transparent huge pages, memory-deny-write-execute, memory merging, OOM score, core dump filter.',
  refused: '',

  restart(value, rebuild) {
    rebuild.finals.calls.push(() => {
      writeFiles(value, rebuild);
      setPrctl(value.prctl, table, rebuild, false);
    });
    rebuild.finals.lastCalls.push(() => setPrctl(value.prctl, table, rebuild, true));
  },
};

function writeFiles({ oomScoreAdj, coredumpFilter }: ProcessSettings, { tracee: { tid }, notes }: Rebuild): void {
  if (coredumpFilter !== undefined && readCoredumpFilter(tid) !== coredumpFilter)
    writeFileSync(`/proc/${tid}/coredump_filter`, String(coredumpFilter));
  if (readOomScoreAdj(tid) === oomScoreAdj) return;
  try {
    writeFileSync(`/proc/${tid}/oom_score_adj`, String(oomScoreAdj));
  } catch {
    notes.push(
      `The OOM score adjustment stays at ${readOomScoreAdj(tid)}: it was ${oomScoreAdj}, and lowering it needs CAP_SYS_RESOURCE.`,
    );
  }
}
