/**
 * The XSAVE area as ptrace gives it (standard format). Source: Intel SDM volume 1 chapter 13, arch/x86/kernel/fpu/xstate.c.
 */
import { callCode, LocalMemory } from '../linux/ffi.ts';
import { x86_64Code } from './x86_64-code.ts';

/** Where a state component lies in the area. Legacy x87 and SSE (0 and 1) are fixed and not listed. */
export interface Component {
  readonly index: number;
  readonly offset: number;
  readonly size: number;
}

const names = ['x87', 'SSE', 'AVX', 'MPX bounds', 'MPX config', 'AVX-512 opmask', 'AVX-512 upper ZMM', 'AVX-512 high ZMM', 'PT', 'PKRU', 'PASID',
  'CET user', 'CET supervisor', 'HDC', 'UINTR', 'LBR', 'HWP', 'AMX tile config', 'AMX tile data', 'APX']; // prettier-ignore

const enabledOffset = 464; // software bytes of the FXSAVE area: the features that the kernel enabled
const inUseOffset = 512; // XSTATE_BV of the header
const headerEnd = 576;

export function componentName(index: number): string {
  return names[index] ?? `state component ${index}`;
}

/** Bit set of the components that the kernel of this area knows. */
export function enabledComponents(area: Uint8Array): bigint {
  return word(area, enabledOffset);
}

/** Bit set of the components that are not in their initial state. */
export function componentsInUse(area: Uint8Array): bigint {
  return area.length < headerEnd ? 3n : word(area, inUseOffset);
}

function word(area: Uint8Array, offset: number): bigint {
  return new DataView(area.buffer, area.byteOffset, area.byteLength).getBigUint64(offset, true);
}

let code: LocalMemory | undefined;

const layouts = new Map<bigint, Component[]>();

/** Offsets and sizes on this processor, by CPUID leaf 0xd. Asked once: a virtual machine pays for each CPUID. */
export function componentLayout(enabled: bigint): Component[] {
  const known = layouts.get(enabled);
  if (known !== undefined) return known;
  const memory = (code ??= LocalMemory.allocate(8192, true));
  memory.bytes.set(x86_64Code.cpuid);
  const out = memory.address + 4096n;
  const components: Component[] = [];
  for (let index = 2; index < 63; index++) {
    if ((enabled & (1n << BigInt(index))) === 0n) continue;
    callCode(memory.address, 0xd, index, out);
    const size = memory.view.getUint32(4096, true);
    const offset = memory.view.getUint32(4100, true);
    if (size > 0 && offset >= headerEnd) components.push({ index, offset, size });
  }
  layouts.set(enabled, components);
  return components;
}

/** The area for a processor whose own area looks like `here`; `missing` names components in use that it lacks. */
export function convertArea(
  saved: Uint8Array,
  layout: readonly Component[],
  here: Uint8Array,
  layoutHere: readonly Component[],
): { area: Uint8Array; missing: string[] } {
  const inUse = componentsInUse(saved);
  const enabled = enabledComponents(here);
  const missing: string[] = [];
  for (let index = 0; index < 63; index++) {
    if ((inUse & ~enabled & (1n << BigInt(index))) !== 0n) missing.push(componentName(index));
  }
  if (missing.length > 0) return { area: here, missing };
  const area = new Uint8Array(here.length);
  area.set(saved.subarray(0, Math.min(headerEnd, saved.length)));
  area.set(here.subarray(enabledOffset, 512), enabledOffset);
  for (const { index, offset, size } of layout) {
    const place = layoutHere.find((component) => component.index === index);
    if (place !== undefined && place.size === size) area.set(saved.subarray(offset, offset + size), place.offset);
  }
  return { area, missing };
}
