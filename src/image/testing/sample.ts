/** A small image with all that the format has: containers, data, shared objects, references, every type of field. */
import { emptyHead } from '../head.ts';
import { defineKind, type RecordKind } from '../kind.ts';
import { KindTable } from '../kind-table.ts';
import { s } from '../schema.ts';
import { ImageWriter } from '../writer.ts';

export interface SampleFile {
  readonly path: string;
  readonly inode: bigint;
  readonly buildId?: Uint8Array | undefined;
}

export interface SampleVma {
  readonly start: bigint;
  readonly end: bigint;
  readonly protection: 'r--' | 'rw-' | 'r-x';
  readonly file?: number | undefined;
}

export interface SampleRegisters {
  readonly rip: bigint;
  readonly vector: Uint8Array;
  readonly trap: number;
  readonly delta: bigint;
  readonly stack: { readonly address: bigint; readonly on: boolean };
  readonly pair: readonly [number, string];
}

export const taskKind: RecordKind<{ comm: string; pid: number }> = defineKind({
  tag: 16,
  name: 'task',
  container: true,
  parents: ['image', 'task'],
  title: (value) => `${value.comm} (${value.pid})`,
  schema: s.record({ comm: s.text(64), pid: s.uint() }),
});

export const vmaKind: RecordKind<SampleVma> = defineKind<SampleVma>({
  tag: 17,
  name: 'vma',
  container: true,
  parents: ['task'],
  schema: s.record({
    start: s.hex(s.u64()),
    end: s.hex(s.u64()),
    protection: s.oneOf('r--', 'rw-', 'r-x'),
    file: s.optional(s.objref('file')),
  }),
});

export const pagesKind: RecordKind<{ runs: readonly number[] }> = defineKind({
  tag: 18,
  name: 'pages',
  data: true,
  parents: ['vma'],
  schema: s.record({ runs: s.array(s.uint(), 512) }),
});

export const fileKind: RecordKind<SampleFile> = defineKind<SampleFile>({
  tag: 19,
  name: 'file',
  parents: ['image', 'task'],
  schema: s.record({ path: s.text(4096), inode: s.u64(), buildId: s.optional(s.bytes(64)) }),
});

export const registersKind: RecordKind<SampleRegisters> = defineKind<SampleRegisters>({
  tag: 20,
  name: 'registers',
  parents: ['task'],
  schema: s.record({
    rip: s.hex(s.u64()),
    vector: s.bytes(4096),
    trap: s.int(),
    delta: s.i64(),
    stack: s.record({ address: s.hex(s.u64()), on: s.bool() }),
    pair: s.tuple(s.uint(), s.text(16)),
  }),
});

export const sampleKinds: KindTable = new KindTable([taskKind, vmaKind, pagesKind, fileKind, registersKind]);

export const sampleRegisters: SampleRegisters = {
  rip: 0xffff_ffff_ff60_0000n,
  vector: Uint8Array.from({ length: 600 }, (_, index) => index & 255),
  trap: -1,
  delta: -(2n ** 62n),
  stack: { address: 0x7ffe_0000_0000n, on: false },
  pair: [7, 'seven'],
};

/** A sink that keeps what it is given. */
export function memorySink(): { write(parts: readonly Uint8Array[]): void; bytes(): Uint8Array } {
  const kept: Uint8Array[] = [];
  return {
    write: (parts) => void kept.push(...parts.map((part) => part.slice())),
    bytes: () => new Uint8Array(Buffer.concat(kept)),
  };
}

/** The bytes of an image that `fill` writes. */
export function imageOf(fill: (writer: ImageWriter) => void): Uint8Array {
  const sink = memorySink();
  const writer = new ImageWriter(sink, { ...emptyHead, host: 'sample', commandLine: ['sample', '--all'] });
  fill(writer);
  writer.finish();
  return sink.bytes();
}

export function sampleImage(): Uint8Array {
  return imageOf((writer) => {
    writer.open(taskKind, { comm: 'sample', pid: 4242 });
    writer.write(fileKind, { path: '/usr/bin/sample', inode: 2n ** 63n, buildId: Uint8Array.of(1, 2, 3) }, 1);
    writer.open(vmaKind, { start: 0x5555_0000_0000n, end: 0x5555_0000_2000n, protection: 'r-x', file: 1 });
    writer.close();
    writer.open(vmaKind, { start: 0x7fff_0000_0000n, end: 0x7fff_0000_8000n, protection: 'rw-' });
    writer.data(pagesKind, { runs: [0x7fff_0000_0, 1, 0x7fff_0000_4, 1] }, new Uint8Array(8192).fill(0xa5));
    writer.data(pagesKind, { runs: [0x7fff_0000_7, 1] }, new Uint8Array(4096).fill(0x5a));
    writer.close();
    writer.write(registersKind, sampleRegisters);
    writer.open(taskKind, { comm: 'child', pid: 4243 });
    writer.write(fileKind, { path: '/tmp/ä', inode: 0n }, 2);
    writer.close();
    writer.close();
  });
}
