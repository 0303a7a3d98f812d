/** The capability sets of a task, which change together with its ids. Source: man 7 capabilities, security/commoncap.c. */
import { s } from '../image/schema.ts';
import type { Schema } from '../image/schema-types.ts';
import { syscall } from '../linux/ffi.ts';
import type { Status } from '../linux/proc/status.ts';
import type { Rebuild, ThreadCollection } from './object.ts';

/** Bit 0 is capability 0, CAP_CHOWN. */
export interface CapabilitySets {
  readonly inheritable: bigint;
  readonly permitted: bigint;
  readonly effective: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
  /** SECBIT_* of linux/securebits.h. */
  readonly secureBits: number;
}

const set = s.hex(s.u64());

export const capabilitySets: Schema<CapabilitySets> = s.record({
  inheritable: set,
  permitted: set,
  effective: set,
  bounding: set,
  ambient: set,
  secureBits: s.hex(s.uint(0xffff_ffff)),
});

const PR_SET_KEEPCAPS = 8;
const PR_CAPBSET_DROP = 24;
const PR_GET_SECUREBITS = 27;
const PR_SET_SECUREBITS = 28;
const PR_CAP_AMBIENT = 47;
const PR_CAP_AMBIENT_RAISE = 2;
const PR_CAP_AMBIENT_CLEAR_ALL = 4;
const SECBIT_KEEP_CAPS = 0x10;
const CAP_SETPCAP = 1n << 8n;

function setsOf({ capInh, capPrm, capEff, capBnd, capAmb }: Status, secureBits: number): CapabilitySets {
  return { inheritable: capInh, permitted: capPrm, effective: capEff, bounding: capBnd, ambient: capAmb, secureBits };
}

export function collectCapabilities({ status, injector }: ThreadCollection): CapabilitySets {
  return setsOf(status, Number(injector.mustCall('prctl', [PR_GET_SECUREBITS, 0, 0, 0, 0])));
}

/** Those of the task under restart. */
export function capabilitiesNow(status: Status): CapabilitySets {
  return setsOf(status, syscall('prctl', PR_GET_SECUREBITS) & ~SECBIT_KEEP_CAPS); // those of this process, which an execve hands on
}

/**
 * Adds the calls that give the task `wanted`, as far as it has the like: it never gets what the restart lacks, nor keeps
 * what the program lacked. `changeIds` stands between, where it loses nothing by it.
 */
export function restoreCapabilities(
  wanted: CapabilitySets,
  now: CapabilitySets,
  rebuild: Rebuild,
  changeIds: (() => void) | undefined,
): void {
  const mayDrop = (now.permitted & CAP_SETPCAP) !== 0n;
  const permitted = wanted.permitted & now.permitted;
  const inheritable = wanted.inheritable & (now.inheritable | now.permitted);
  const excess = now.bounding & ~wanted.bounding;
  const prctl = (action: string, ...parameters: readonly number[]): void => {
    rebuild.room(1);
    rebuild.batch.add(action, 'prctl', parameters);
  };
  const everything = (): void => setCapabilities(rebuild, now.permitted, now.permitted, inheritable);
  everything();
  if (mayDrop) for (const bit of bitsOf(excess)) prctl('reduce the capability bounding set', PR_CAPBSET_DROP, bit);
  if (changeIds !== undefined) {
    prctl('keep capabilities', PR_SET_KEEPCAPS, 1);
    changeIds();
    everything();
  }
  prctl('clear the ambient capabilities', PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL);
  for (const bit of bitsOf(wanted.ambient & permitted & inheritable))
    prctl('raise an ambient capability', PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, bit);
  if (mayDrop) prctl('set the secure bits', PR_SET_SECUREBITS, wanted.secureBits);
  else prctl('keep capabilities or not', PR_SET_KEEPCAPS, (wanted.secureBits & SECBIT_KEEP_CAPS) === 0 ? 0 : 1);
  setCapabilities(rebuild, wanted.effective & permitted, permitted, inheritable);
  if ((wanted.permitted & ~now.permitted) !== 0n)
    rebuild.notes.push('The program had capabilities that its restart lacks; it goes on without them.');
  if (!mayDrop && (excess !== 0n || (wanted.secureBits & ~SECBIT_KEEP_CAPS) !== now.secureBits)) {
    rebuild.notes.push(
      'The capability bounding set and the secure bits stay those of the restart: setting them needs CAP_SETPCAP.',
    );
  }
}

function bitsOf(mask: bigint): number[] {
  return Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => (mask & (1n << BigInt(bit))) !== 0n);
}

/** struct __user_cap_header_struct of version 3, and two of __user_cap_data_struct: the low words, then the high ones. */
function setCapabilities(rebuild: Rebuild, ...sets: [effective: bigint, permitted: bigint, inheritable: bigint]): void {
  const LINUX_CAPABILITY_VERSION_3 = 0x2008_0522;
  const halves = [0n, 32n].flatMap((shift) => sets.map((mask) => Number((mask >> shift) & 0xffff_ffffn)));
  rebuild.room(1, 64);
  const { batch } = rebuild;
  const words = (values: readonly number[]): bigint => batch.data(new Uint8Array(Uint32Array.from(values).buffer));
  batch.add('set the capabilities', 'capset', [words([LINUX_CAPABILITY_VERSION_3, 0]), words(halves)]);
}
