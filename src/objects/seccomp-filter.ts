/** One seccomp filter. Threads that inherited it share it; filters installed after it refer to it. Source: man 2 seccomp. */
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { sock_filter } from '../linux/abi/seccomp.ts';
import { mostInstructions, type SeccompFilter } from '../linux/seccomp-filters.ts';
import { node, type ImageNode, type ObjectKind, type Rebuild } from './object.ts';
import type { ObjectTable } from './object-table.ts';

export interface FilterRecord extends SeccompFilter {
  /** objref of the filter that was there before. */
  readonly previous?: number | undefined;
}

const record: RecordKind<FilterRecord> = defineKind<FilterRecord>({
  tag: 0xc5,
  name: 'seccomp-filter',
  parents: ['thread'],
  title: ({ program }) => `${program.length / sock_filter.size} instructions`,
  schema: s.record({
    program: s.bytes(mostInstructions * sock_filter.size),
    log: s.bool(),
    previous: s.optional(s.objref('seccomp-filter')),
  }),
});

/** The records of a chain of filters, as far as they are new to the image, and the objref of the last. */
export function referToFilters(objects: ObjectTable, filters: readonly SeccompFilter[]): { objref: number; before: ImageNode[] } {
  const before: ImageNode[] = [];
  let previous: number | undefined;
  for (const { program, log } of filters) {
    const value: FilterRecord = { program, log, ...(previous !== undefined && { previous }) };
    const key = `seccomp ${previous ?? ''} ${log} ${Buffer.from(program).toString('base64')}`;
    const found = objects.refer(key, (objref) => node(record, value, { objref }));
    before.push(...found.before);
    previous = found.objref;
  }
  if (previous === undefined) throw new TypeError('A chain of filters is not empty');
  return { objref: previous, before };
}

/** All filters of the chain that ends there, the first one first. */
export function filterChain({ described }: Rebuild, objref: number): FilterRecord[] {
  const chain: FilterRecord[] = [];
  for (let at: number | undefined = objref; at !== undefined;) {
    const found = described.get(at) as FilterRecord | undefined;
    if (found === undefined) throw new StasisError('IMAGE', `The image refers to object ${at} before it describes it`);
    chain.push(found);
    at = found.previous;
  }
  return chain.toReversed();
}

export const seccompFilter: ObjectKind<FilterRecord> = {
  record,
  title: 'Seccomp filter',
  carried: 'Its program and whether it logs. Threads that share a filter share it again.',
  refused: 'Filters that hand calls to a listener.',
  restart(value, { described }, { objref }) {
    described.set(objref, value);
  },
};
