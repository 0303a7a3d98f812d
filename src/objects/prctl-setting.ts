/** Settings that prctl reads and writes, by their names: the table entries of settings.ts and thread-settings.ts. */
import type { Inquiry } from '../tracee/inquiry.ts';
import { s } from '../image/schema.ts';
import type { Schema } from '../image/schema-types.ts';
import type { Rebuild } from './object.ts';

/** A setting that the kernel does not know is absent. */
export type PrctlValues = readonly { readonly name: string; readonly value: bigint }[];

export const prctlValues: Schema<PrctlValues> = s.array(s.record({ name: s.text(64), value: s.hex(s.u64()) }), 64);

export interface Setting {
  readonly get: number;
  readonly set: number;
  /** The value is written to memory as an int; else it is the result. */
  readonly written?: true;
  /** Parameters that ask for it, none when absent. */
  readonly asks?: readonly number[];
  /** Parameters that set it; the value alone when absent. */
  readonly parameters?: (value: bigint) => readonly bigint[];
  /** Set after everything else, because other steps undo it or it forbids them; and only when it is not zero. */
  readonly last?: true;
}

export type Settings = Readonly<Record<string, Setting>>;

export function collectPrctl(injector: Inquiry, table: Settings): PrctlValues {
  const values: { name: string; value: bigint }[] = [];
  for (const [name, { get, written, asks = [] }] of Object.entries(table)) {
    const [a = 0, b = 0] = asks;
    const result = injector.call('prctl', [get, written === true ? injector.scratch : a, b, 0, 0]);
    if (result < 0n) continue;
    values.push({ name, value: written === true ? BigInt(injector.readScratch(4).getUint32(0, true)) : result });
  }
  return values;
}

/** Adds the calls that set the values which are to be set `last`, or the others. */
export function setPrctl(values: PrctlValues, table: Settings, rebuild: Rebuild, last: boolean): void {
  for (const { name, value } of values) {
    const setting = table[name];
    if (setting === undefined || (setting.last === true) !== last) continue;
    if (last && value === 0n) continue;
    const { set, parameters } = setting;
    rebuild.room(1);
    // Zero is what a kernel without the setting does anyway.
    rebuild.batch.add(`set ${name}`, 'prctl', [set, ...(parameters?.(value) ?? [value])], { mayFail: value === 0n });
  }
}
