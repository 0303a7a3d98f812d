import { currentRevision } from './framing.ts';
import { defineKind, type RecordKind, topLevel } from './kind.ts';
import { s } from './schema.ts';

/** The first record: what a reader must know before it can judge the rest, and what a person wants to know first. */
export interface Head {
  /** as in the preamble */
  readonly revision: number;
  /** as the kernel spells it: x86_64, i386, aarch64 */
  readonly architecture: string;
  readonly pageSize: number;
  readonly kernel: { readonly release: string; readonly version: string };
  readonly cpu: { readonly vendor: string; readonly model: string; readonly features: readonly string[] };
  /** milliseconds since 1970 */
  readonly createdAt: number;
  /** of the root task; for people: what is not UTF-8 may be replaced */
  readonly commandLine: readonly string[];
  readonly host: string;
  /** version of the Stasis that wrote the image */
  readonly stasis: string;
  /** what checkpoint() returned: positive, counts up on a host */
  readonly id: number;
  /** codec of the page data, with its level: lz4, zstd:3; absent when nothing is compressed */
  readonly compression?: string | undefined;
  /** the image from which pages are taken that have not changed since; absent when this one is whole */
  readonly base?: Base | undefined;
}

export interface Base {
  /** the digest in its tail */
  readonly digest: Uint8Array;
  /** where it was, to look there first */
  readonly path: string;
}

/** The range of Date. Source: ECMA-262, time values. */
const latestDate = 8.64e15;

export const headKind: RecordKind<Head> = defineKind<Head>({
  tag: 1,
  name: 'head',
  parents: [topLevel],
  title: ({ architecture, createdAt }) =>
    createdAt > latestDate ? architecture : `${architecture} ${new Date(createdAt).toISOString()}`,
  schema: s.record({
    revision: s.uint(0xffff_ffff),
    architecture: s.text(32),
    pageSize: s.uint(1 << 20),
    kernel: s.record({ release: s.text(256), version: s.text(256) }),
    cpu: s.record({ vendor: s.text(64), model: s.text(256), features: s.array(s.text(64), 1024) }),
    createdAt: s.uint(),
    commandLine: s.array(s.text(1 << 17), 1 << 14),
    host: s.text(256),
    stasis: s.text(64),
    id: s.uint(),
    compression: s.optional(s.text(64)),
    base: s.optional(s.record({ digest: s.hex(s.bytes(32)), path: s.text(4096) })),
  }),
});

/** A head with nothing in it that depends on the machine, to start from. */
export const emptyHead: Head = {
  revision: currentRevision,
  architecture: 'x86_64',
  pageSize: 4096,
  kernel: { release: '', version: '' },
  cpu: { vendor: '', model: '', features: [] },
  createdAt: 0,
  commandLine: [],
  host: '',
  stasis: '',
  id: 1,
};
