/**
 * The address space: its boundaries, the auxiliary vector, the time mappings, and a hole in which a restart can work.
 * A restart clears the fresh program image, moves the vdso to where it was, and lets the mappings follow.
 */
import { createHash } from 'node:crypto';
import { StasisError } from '../errors.ts';
import { defineKind, type RecordKind } from '../image/kind.ts';
import { s } from '../image/schema.ts';
import { readMaps, type Vma } from '../linux/proc/maps.ts';
import { readProcBytes } from '../linux/proc/read.ts';
import { prctl_mm_map } from '../linux/abi/prctl.ts';
import { areaSize } from '../tracee/batch.ts';
import { forgetRoom, pristine, readVdso } from '../tracee/vdso.ts';
import { outside, type Span } from '../linux/pagemap.ts';
import { rangesOf } from '../linux/process-memory.ts';
import type { Inheritance } from './inheritance.ts';
import type { Collection, ObjectKind, Rebuild } from './object.ts';

export interface Mm {
  readonly startCode: bigint;
  readonly endCode: bigint;
  readonly startData: bigint;
  readonly endData: bigint;
  readonly startBrk: bigint;
  readonly brk: bigint;
  readonly startStack: bigint;
  readonly argStart: bigint;
  readonly argEnd: bigint;
  readonly envStart: bigint;
  readonly envEnd: bigint;
  /** As the kernel keeps it: pairs of words. */
  readonly auxv: Uint8Array;
  /** [vvar], [vvar_vclock], [vdso] and the like: they move together. */
  readonly timeMappings: readonly TimeMapping[];
  /** SHA-256 of the vdso: a program may hold addresses inside it, so a restart needs the same one. */
  readonly vdsoDigest: Uint8Array;
  /** The largest range without any mapping in all the processes of the image. */
  readonly hole: Hole;
  /** Of a task that is forked from its parent: ranges that stay as they are there, and pages in them that do not. */
  readonly inherited?: { readonly kept: readonly Span[]; readonly dropped: readonly number[] } | undefined;
}

export interface Hole {
  readonly start: bigint;
  readonly end: bigint;
}

interface TimeMapping {
  readonly name: string;
  readonly start: bigint;
  readonly end: bigint;
}

const address = s.hex(s.u64());

const record: RecordKind<Mm> = defineKind<Mm>({
  tag: 0x20,
  name: 'mm',
  container: true,
  parents: ['task'],
  schema: s.record({
    startCode: address,
    endCode: address,
    startData: address,
    endData: address,
    startBrk: address,
    brk: address,
    startStack: address,
    argStart: address,
    argEnd: address,
    envStart: address,
    envEnd: address,
    auxv: s.hex(s.bytes(4096)),
    timeMappings: s.array(s.record({ name: s.text(32), start: address, end: address }), 8),
    vdsoDigest: s.hex(s.bytes(32)),
    hole: s.record({ start: address, end: address }),
    inherited: s.optional(
      s.record({
        kept: s.array(s.record({ start: address, end: address }), 1 << 17),
        dropped: s.array(s.uint(), 1 << 18),
      }),
    ),
  }),
});

const lowest = 0x10000n; // vm.mmap_min_addr as distributions set it
const megabyte = 1n << 20n;

export function isTimeMapping(vma: Vma): boolean {
  return vma.path === '[vdso]' || vma.path.startsWith('[vvar');
}

/** The largest free range, rounded to whole megabytes. */
export function largestHole(vmas: readonly Vma[], addressLimit: bigint): Hole {
  let best = { start: 0n, end: 0n };
  let from = lowest;
  for (const vma of [...vmas, { start: addressLimit, end: addressLimit }]) {
    const start = ((from + megabyte - 1n) / megabyte) * megabyte;
    // stacks may grow into the first megabytes below them
    const end = ((vma.start < addressLimit ? vma.start : addressLimit) / megabyte) * megabyte - 16n * megabyte;
    if (end - start > best.end - best.start) best = { start, end };
    if (vma.end > from) from = vma.end;
    if (from >= addressLimit) break;
  }
  return best;
}

export function collectMm(collection: Collection, hole: Hole, inheritance: Inheritance | undefined): Mm {
  const { stat, vmas, injector, pid } = collection;
  const { startCode, endCode, startData, endData, startBrk, startStack, argStart, argEnd, envStart, envEnd } = stat;
  return {
    startCode,
    endCode,
    startData,
    endData,
    startBrk,
    startStack,
    argStart,
    argEnd,
    envStart,
    envEnd, // prettier-ignore
    brk: injector.mustCall('brk', [0]),
    auxv: readProcBytes(pid, 'auxv'),
    timeMappings: vmas.filter(isTimeMapping).map(({ path, start, end }) => ({ name: path, start, end })),
    vdsoDigest: digest(pristine(collection.vdso)),
    hole,
    ...(inheritance !== undefined && { inherited: { kept: inheritance.kept, dropped: inheritance.dropped } }),
  };
}

function digest(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

export const mm: ObjectKind<Mm> = {
  record,
  title: 'Address space',
  carried: 'Boundaries (brk, arguments, environment, stack), auxiliary vector, vdso and vvar at their addresses.',
  refused: 'At restart: a kernel with another vdso.',

  restart(value, rebuild) {
    const { tracee } = rebuild;
    rebuild.finals.boundaries = () => setBoundaries(value, rebuild);
    const vmas = readMaps(tracee.tid);
    const vdso = readVdso(tracee.tid, vmas);
    const time = vmas.filter(isTimeMapping);
    assertSameVdso(value, time, digest(pristine(vdso)), tracee.tid);
    if (value.inherited !== undefined) {
      if (!rebuild.hasArea) {
        forgetRoom(tracee.tid, vdso);
        rebuild.makeArea(vdso, workingPlace(value, vmas));
      }
      return keepOnly(value.inherited, rebuild, vmas);
    }
    const area = rebuild.makeArea(vdso, workingPlace(value, vmas));
    clear(rebuild, vmas, area.code);
    moveTimeMappings(rebuild, value, time, area.code + BigInt(areaSize));
    rebuild.flush();
    const moved = value.timeMappings.find((mapping) => mapping.name === '[vdso]');
    if (moved !== undefined) rebuild.vdsoMoved(moved.start - vdso.start);
  },

  close(rebuild) {
    rebuild.flush();
  },
};

function assertSameVdso(value: Mm, time: readonly Vma[], here: Uint8Array, pid: number): void {
  const same =
    Buffer.compare(here, value.vdsoDigest) === 0 &&
    time.length === value.timeMappings.length &&
    time.every((vma, index) => {
      const saved = value.timeMappings[index];
      return saved?.name === vma.path && saved.end - saved.start === vma.end - vma.start;
    });
  if (same) return;
  throw new StasisError('IMAGE', 'Cannot restart here: the image was made on a kernel with another vdso', {
    phase: 'restore',
    pid,
    hint: 'Restart it on a machine that runs the same kernel build as the one in "stasis inspect".',
  });
}

/** A place for the working area, and behind it room to park the time mappings, free both in the image and now. */
function workingPlace(value: Mm, vmas: readonly Vma[]): bigint {
  const needed = BigInt(areaSize) + megabyte;
  for (let at = value.hole.start; at + needed <= value.hole.end;) {
    const clash = vmas.find((vma) => vma.start < at + needed && vma.end > at);
    if (clash === undefined) return at;
    at = ((clash.end + megabyte - 1n) / megabyte) * megabyte;
  }
  throw new StasisError('RESTART_FAILED', 'Cannot restart: the address space of the image leaves no room to work in', {
    phase: 'restore',
  });
}

/** Unmaps what the parent has and the task has not, and forgets pages that differ. */
function keepOnly({ kept, dropped }: NonNullable<Mm['inherited']>, rebuild: Rebuild, vmas: readonly Vma[]): void {
  const { area } = rebuild;
  const { addressLimit } = rebuild.tracee.architecture;
  rebuild.finals.kept = kept;
  const stay = [...kept, { start: area.code, end: area.code + BigInt(areaSize) }].sort((a, b) => (a.start < b.start ? -1 : 1));
  for (const vma of vmas) {
    if (isTimeMapping(vma) || vma.start >= addressLimit) continue;
    for (const { start, end } of outside(vma, stay)) {
      rebuild.room(1);
      rebuild.batch.add('unmap what was the parent’s', 'munmap', [start, end - start]);
    }
  }
  const MADV_DONTNEED = 4;
  for (const { address: at, length } of rangesOf(dropped)) {
    if (outside({ start: at, end: at + BigInt(length) }, kept).length > 0)
      throw new StasisError('IMAGE', `Pages at ${at.toString(16)} lie outside of what the task keeps`);
    rebuild.room(1);
    rebuild.batch.add('forget pages of the parent', 'madvise', [at, length, MADV_DONTNEED]);
  }
  rebuild.flush();
}

/** Unmaps the fresh program image; what the kernel keeps above user space stays. */
function clear(rebuild: Rebuild, vmas: readonly Vma[], area: bigint): void {
  const { addressLimit } = rebuild.tracee.architecture;
  const doomed = vmas.filter((vma) => !isTimeMapping(vma) && vma.start < addressLimit && vma.start !== area);
  for (const { start, end } of doomed) rebuild.batch.add('clear the address space', 'munmap', [start, end - start]);
}

/** First aside, then to their places: old and new ranges may overlap. */
function moveTimeMappings(rebuild: Rebuild, value: Mm, time: readonly Vma[], parking: bigint): void {
  const MREMAP_MAYMOVE_FIXED = 3;
  let park = parking;
  const parked = time.map((vma) => {
    const length = vma.end - vma.start;
    rebuild.batch.add(`move ${vma.path}`, 'mremap', [vma.start, length, length, MREMAP_MAYMOVE_FIXED, park]);
    const at = park;
    park += length;
    return { at, length };
  });
  parked.forEach(({ at, length }, index) => {
    const target = value.timeMappings[index];
    if (target !== undefined) {
      rebuild.batch.add(`move ${target.name}`, 'mremap', [at, length, length, MREMAP_MAYMOVE_FIXED, target.start]);
    }
  });
}

const PR_SET_MM = 35;
const PR_SET_MM_MAP = 14;

/** The boundaries, once all mappings are in place. Needs no privilege as long as no executable is named. Source: kernel/sys.c. */
function setBoundaries(value: Mm, rebuild: Rebuild): void {
  const bytes = prctl_mm_map.make({
    start_code: value.startCode,
    end_code: value.endCode,
    start_data: value.startData,
    end_data: value.endData,
    start_brk: value.startBrk,
    brk: value.brk,
    start_stack: value.startStack,
    arg_start: value.argStart,
    arg_end: value.argEnd,
    env_start: value.envStart,
    env_end: value.envEnd,
    auxv: rebuild.batch.data(value.auxv),
    auxv_size: value.auxv.length,
    exe_fd: 0xffff_ffff,
  });
  const map = rebuild.batch.data(bytes);
  rebuild.batch.add('set the boundaries of the address space', 'prctl', [PR_SET_MM, PR_SET_MM_MAP, map, bytes.length, 0]);
}
