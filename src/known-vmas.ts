/** The mappings of a stopped process, with the flags that they had a moment before it was stopped. */
import type { Vma } from './linux/proc/maps.ts';
import type { SmapsVma } from './linux/proc/smaps.ts';

/** By pid, as read from /proc/PID/smaps while the process ran. */
export type KnownVmas = ReadonlyMap<number, readonly SmapsVma[]>;

/** A mapping has the flags of the one that was most like it: in the same place, or else of the same kind. */
export function withEarlierFlags(now: readonly Vma[], earlier: readonly SmapsVma[]): SmapsVma[] {
  let next = 0;
  return now.map((vma) => {
    while (next < earlier.length && (earlier[next]?.end ?? 0n) <= vma.start) next++;
    const there = earlier[next];
    const overlaps = there !== undefined && there.start < vma.end;
    const like = overlaps && sameKind(there, vma) ? there : earlier.find((candidate) => sameKind(candidate, vma));
    return { ...vma, vmFlags: like?.vmFlags ?? noFlags, sizes: like?.sizes ?? noSizes };
  });
}

const noFlags: ReadonlySet<string> = new Set();
const noSizes = {} as SmapsVma['sizes'];

function sameKind(one: Vma, other: Vma): boolean {
  return (
    one.read === other.read &&
    one.write === other.write &&
    one.execute === other.execute &&
    one.shared === other.shared &&
    one.inode === other.inode &&
    one.path === other.path
  );
}

/** Flags without a meaning for us that come and go: soft-dirty, that there may be guard pages, and the marks of a watch of our own. */
const passing = new Set(['sd', 'gu', 'uw']);

/**
 * Whether mappings still are what was supposed of them. `copied`: `now` are those of a copy made by fork, which inherits
 * no locks and no MADV_DONTFORK. Source: kernel/fork.c (dup_mmap).
 */
export function flagsHold(supposed: readonly SmapsVma[], now: readonly SmapsVma[], copied: boolean): boolean {
  const expected = copied ? supposed.filter(({ vmFlags }) => !vmFlags.has('dc')) : supposed;
  if (expected.length !== now.length) return false;
  return expected.every((vma, index) => {
    const other = now[index];
    if (other?.start !== vma.start || other.end !== vma.end || other.path !== vma.path) return false;
    const ignored = (flag: string): boolean => passing.has(flag) || (copied && (flag === 'lo' || flag === 'lf'));
    const missing = (one: ReadonlySet<string>, another: ReadonlySet<string>): boolean =>
      [...one].some((flag) => !another.has(flag) && !ignored(flag));
    return !missing(vma.vmFlags, other.vmFlags) && !missing(other.vmFlags, vma.vmFlags);
  });
}
