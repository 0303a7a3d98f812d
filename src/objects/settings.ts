/** Small settings of a process that stand nowhere else. Source: man 2 prctl, man 5 proc_pid_oom_score_adj, man 5 core. */
import { writeFileSync } from 'node:fs';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readCoredumpFilter, readOomScoreAdj } from '../linux/proc/values.ts';
import type { Collection, ObjectKind, Rebuild } from './object.ts';

export interface Settings {
  /** By the names of {@link prctls}; a setting that the kernel does not know is absent. */
  readonly prctl: readonly { readonly name: string; readonly value: bigint }[];
  readonly oomScoreAdj: number;
  readonly coredumpFilter?: number | undefined;
}

const record: RecordKind<Settings> = defineKind<Settings>({
  tag: 0x35,
  name: 'settings',
  parents: ['task'],
  schema: s.record({
    prctl: s.array(s.record({ name: s.text(64), value: s.hex(s.u64()) }), 64),
    oomScoreAdj: s.int(),
    coredumpFilter: s.optional(s.hex(s.uint(0xffff_ffff))),
  }),
});

interface Setting {
  readonly get: number;
  readonly set: number;
  /** The value is written to memory as an int; else it is the result. */
  readonly written?: true;
  /** Parameters that set it; the value alone when absent. */
  readonly parameters?: (value: bigint) => readonly bigint[];
  /** Set after everything else, because other steps undo it or it forbids them; and only when it is not zero. */
  readonly last?: true;
}

/** PR_GET_… and PR_SET_… of linux/prctl.h. */
const prctls: Readonly<Record<string, Setting>> = {
  PDEATHSIG: { get: 2, set: 1, written: true, last: true }, // a change of user clears it
  TSC: { get: 25, set: 26, written: true },
  TIMERSLACK: { get: 30, set: 29 },
  CHILD_SUBREAPER: { get: 37, set: 36, written: true },
  THP_DISABLE: { get: 42, set: 41, parameters: (value) => [value & 1n, value & ~1n] }, // flags beside the bit: since 6.18
  MDWE: { get: 66, set: 65, last: true }, // forbids executable memory from then on
  MEMORY_MERGE: { get: 68, set: 67 },
};

export function collectSettings({ pid, injector }: Collection): Settings {
  const prctl: { name: string; value: bigint }[] = [];
  for (const [name, { get, written }] of Object.entries(prctls)) {
    const result = injector.call('prctl', [get, written === true ? injector.scratch : 0, 0, 0, 0]);
    if (result < 0n) continue;
    prctl.push({ name, value: written === true ? BigInt(injector.readScratch(4).getUint32(0, true)) : result });
  }
  const coredumpFilter = readCoredumpFilter(pid);
  return { prctl, oomScoreAdj: readOomScoreAdj(pid), ...(coredumpFilter !== undefined && { coredumpFilter }) };
}

export const settings: ObjectKind<Settings> = {
  record,
  title: 'Settings',
  carried:
    'Timer slack, signal at the death of the parent, child subreaper, transparent huge pages, memory-deny-write-execute, time stamp counter, memory merging, OOM score, core dump filter.',
  refused: '',

  restart(value, rebuild) {
    const prctl = value.prctl.flatMap(({ name, value: word }) => {
      const setting = prctls[name];
      return setting === undefined ? [] : [{ name, word, ...setting }];
    });
    rebuild.finals.calls.push(() => {
      writeFiles(value, rebuild);
      rebuild.room(prctl.length);
      for (const { name, word, set, parameters, last } of prctl) {
        if (last === true && word === 0n) continue;
        const add = (): void => {
          // Zero is what a kernel without the setting does anyway.
          rebuild.batch.add(`set ${name}`, 'prctl', [set, ...(parameters?.(word) ?? [word])], { mayFail: word === 0n });
        };
        if (last === true) rebuild.finals.lastCalls.push(add);
        else add();
      }
    });
  },
};

function writeFiles({ oomScoreAdj, coredumpFilter }: Settings, { tracee: { tid }, notes }: Rebuild): void {
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
