/** What a process has registered for with membarrier. Source: man 2 membarrier, kernel/sched/membarrier.c. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { node, type Collection, type ImageNode, type ObjectKind } from './object.ts';

export interface Membarrier {
  /** MEMBARRIER_CMD_REGISTER_*, one bit each. */
  readonly registrations: number;
}

const GET_REGISTRATIONS = 1 << 9; // since Linux 6.3

/** Each with the command that only the registered may use: before 6.3 using it (it orders memory, no more) is how to ask. */
const commands = [
  { name: 'GLOBAL_EXPEDITED', register: 1 << 2, use: undefined },
  { name: 'PRIVATE_EXPEDITED', register: 1 << 4, use: 1 << 3 },
  { name: 'PRIVATE_EXPEDITED_SYNC_CORE', register: 1 << 6, use: 1 << 5 },
  { name: 'PRIVATE_EXPEDITED_RSEQ', register: 1 << 8, use: 1 << 7 },
] as const;
const all = commands.reduce((sum, { register }) => sum | register, 0);

const record: RecordKind<Membarrier> = defineKind<Membarrier>({
  tag: 0xc4,
  name: 'membarrier',
  parents: ['task'],
  schema: s.record({ registrations: s.hex(s.uint(0xffff_ffff)) }),
});

export function collectMembarrier({ injector, blockers }: Collection): ImageNode[] {
  const told = Number(injector.call('membarrier', [GET_REGISTRATIONS, 0, 0]));
  const registrations = told >= 0 ? told : commands.reduce((sum, { register, use }) => {
    return use !== undefined && injector.call('membarrier', [use, 0, 0]) === 0n ? sum | register : sum;
  }, 0); // prettier-ignore
  if ((registrations & ~all) !== 0) {
    blockers.push({
      object: 'membarrier',
      place: `registrations 0x${registrations.toString(16)}`,
      reason: 'it has registered for a kind of memory barrier that this version does not know',
      remedy: 'Use a newer version of stasis',
    });
  }
  return registrations === 0 ? [] : [node(record, { registrations })];
}

export const membarrier: ObjectKind<Membarrier> = {
  record,
  title: 'Memory barrier registrations',
  carried: 'All that the process has registered for with membarrier.',
  refused: 'At restart: a kernel without such a barrier.',

  restart({ registrations }, rebuild) {
    rebuild.finals.calls.push(() => {
      rebuild.room(commands.length);
      for (const { name, register } of commands) {
        if ((registrations & register) === 0) continue;
        rebuild.batch.add(`register for the memory barrier ${name}`, 'membarrier', [register, 0, 0]);
      }
    });
  },
};
