/** Private anonymous memory: heap, stack, and whatever malloc and mmap gave. Source: man 2 mmap. */
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import type { ObjectKind } from './object.ts';
import { node } from './object.ts';
import {
  closeMapping,
  isBlocker,
  MAP,
  mappingBase,
  mappingFields,
  restartMapping,
  type MappingBase,
  type VmaKind,
} from './vma.ts';

export interface AnonymousMapping extends MappingBase {
  readonly growsDown: boolean;
  readonly noReserve: boolean;
  /** [heap], [stack], or the name given by prctl(PR_SET_VMA_ANON_NAME) as [anon:NAME]; empty for none. */
  readonly name: string;
}

const record: RecordKind<AnonymousMapping> = defineKind<AnonymousMapping>({
  tag: 0x21,
  name: 'vma-anonymous',
  container: true,
  parents: ['mm'],
  schema: s.record({ ...mappingFields, growsDown: s.bool(), noReserve: s.bool(), name: s.text(256) }),
});

const PR_SET_VMA = 0x53564d41;

export const vmaAnonymous: ObjectKind<AnonymousMapping> & VmaKind = {
  record,
  title: 'Private anonymous memory',
  carried: 'Address, protection, growing stacks, reservations without cost, advice, mlock, names; all pages that are not zero.',
  refused: 'Shared anonymous memory; huge TLB pages; memory under userfaultfd; sealed memory.',

  recognise(vma) {
    if (vma.shared) return false;
    if (vma.path === '/dev/zero') return true;
    return vma.inode === 0n && (vma.path === '' || vma.path === '[heap]' || /^\[(stack|anon)(:.*)?\]$/.test(vma.path));
  },

  collect(vma, _collection, runs) {
    const base = mappingBase(vma, runs);
    if (isBlocker(base)) return base;
    const value = {
      ...base,
      growsDown: vma.vmFlags.has('gd'),
      noReserve: vma.vmFlags.has('nr'),
      name: vma.path === '/dev/zero' ? '' : vma.path,
    };
    return [node(record, value, { children: [], pages: runs })];
  },

  restart(value, rebuild) {
    const flags = MAP.PRIVATE | MAP.ANONYMOUS | (value.growsDown ? MAP.GROWSDOWN : 0) | (value.noReserve ? MAP.NORESERVE : 0);
    restartMapping(value, rebuild, flags, -1, 0n);
    const name = /^\[anon:(.*)\]$/.exec(value.name)?.[1];
    if (name === undefined) return;
    const { batch } = rebuild;
    const parameters = [PR_SET_VMA, 0, value.start, value.end - value.start, batch.text(name)];
    batch.add(`name ${value.name}`, 'prctl', parameters, { mayFail: true });
  },

  close: closeMapping,
};
