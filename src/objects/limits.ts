/** Resource limits. Source: man 2 prlimit, include/uapi/asm-generic/resource.h. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readLimits } from '../linux/proc/limits.ts';
import type { Collection, ObjectKind } from './object.ts';

export interface Limits {
  readonly limits: readonly { readonly resource: number; readonly name: string; readonly soft: bigint; readonly hard: bigint }[];
}

const record: RecordKind<Limits> = defineKind<Limits>({
  tag: 0x33,
  name: 'limits',
  parents: ['task'],
  schema: s.record({
    limits: s.array(s.record({ resource: s.uint(63), name: s.text(32), soft: s.u64(), hard: s.u64() }), 64),
  }),
});

export function collectLimits({ pid }: Collection): Limits {
  return { limits: readLimits(pid).map(({ resource, name, soft, hard }) => ({ resource, name, soft, hard })) };
}

export const limits: ObjectKind<Limits> = {
  record,
  title: 'Resource limits',
  carried: 'All sixteen, as far as the hard limits of the restarting process allow; the rest is reported.',
  refused: '',

  /** Set from inside the task: some systems forbid prlimit from outside even to root. */
  restart(value, rebuild) {
    const now = new Map(readLimits(rebuild.tracee.tid).map((limit) => [limit.resource, limit]));
    rebuild.finals.calls.push(() => {
      rebuild.room(2 * value.limits.length, 64 * value.limits.length);
      for (const { resource, name, soft, hard } of value.limits) {
        const current = now.get(resource);
        if (current === undefined) continue;
        const allowed = hard < current.hard ? hard : current.hard;
        const set = (action: string, softLimit: bigint, hardLimit: bigint, mayFail: boolean): void => {
          const address = rebuild.batch.data(new Uint8Array(BigUint64Array.of(softLimit, hardLimit).buffer));
          rebuild.batch.add(action, 'prlimit64', [0, resource, address, 0], { mayFail });
        };
        set(`set the limit ${name}`, soft < allowed ? soft : allowed, allowed, false);
        if (hard > allowed) {
          set(`raise the limit ${name}`, soft, hard, true);
          if (soft > allowed)
            rebuild.notes.push(`The limit ${name} may stay at ${allowed}: it was ${soft}, above what may be set here.`);
        }
      }
    });
  },
};
