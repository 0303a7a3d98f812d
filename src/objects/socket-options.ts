/** Options of a socket in an image: those that a fresh socket of its kind does not have. */
import { closeSync } from 'node:fs';
import { x86_64 } from '../arch/x86_64.ts';
import type { Blocker } from '../errors.ts';
import { s } from '../image/schema.ts';
import type { Schema } from '../image/schema-types.ts';
import { optionNames, OptionReader, writeOptions, type OptionTable, type OptionValue } from '../linux/socket-options.ts';
import { openSocket } from '../linux/sockets.ts';
import { fdBlocker, type OpenFile } from './open-file.ts';

export interface StoredOption {
  readonly name: string;
  readonly number?: number | undefined;
  readonly bytes?: Uint8Array | undefined;
}

export const optionsSchema: Schema<readonly StoredOption[]> = s.array(
  s.record({ name: s.oneOf(...optionNames), number: s.optional(s.int()), bytes: s.optional(s.hex(s.bytes(32768))) }),
  256,
);

export interface SocketType {
  readonly family: number;
  readonly type: number;
  readonly protocol: number;
  readonly options: readonly OptionTable[];
}

export function filterBlocker(file: OpenFile): Blocker {
  return fdBlocker(file, 'it has a filter of eBPF, which cannot be read back', 'Let the program remove it (SO_DETACH_FILTER)');
}

const fresh = new Map<string, ReadonlyMap<string, number | string>>();

const readers = new Map<string, OptionReader>();

function readerOf(options: readonly OptionTable[]): OptionReader {
  const key = options.join();
  let reader = readers.get(key);
  if (reader === undefined) readers.set(key, (reader = new OptionReader(options, x86_64.code.calls)));
  return reader;
}

/** What all sockets of the type begin with, on this machine now. */
function beginning({ family, type, protocol, options }: SocketType): ReadonlyMap<string, number | string> {
  const key = `${family} ${type} ${protocol}`;
  let known = fresh.get(key);
  if (known === undefined) {
    const fd = openSocket(family, type, protocol);
    known = new Map(
      readerOf(options)
        .read(fd)
        .map(({ name, value }) => [name, comparable(value)]),
    );
    closeSync(fd);
    fresh.set(key, known);
  }
  return known;
}

function comparable(value: number | Uint8Array): number | string {
  return typeof value === 'number' ? value : Buffer.from(value).toString('latin1');
}

/** `except`: options whose value the kernel changes by itself in the state that the socket is in. */
export function collectOptions(fd: number, type: SocketType, except: readonly string[] = []): StoredOption[] {
  const usual = beginning(type);
  return readerOf(type.options)
    .read(fd)
    .filter(({ name, value }) => usual.get(name) !== comparable(value) && !except.includes(name))
    .map(({ name, value }) => (typeof value === 'number' ? { name, number: value } : { name, bytes: value }));
}

/** Options without which there is no bind, connect or listen as it was. */
const early =
  /^(SO_REUSE|SO_BINDTODEVICE|SO_(SND|RCV)BUF$|SO_MARK|IPV6_V6ONLY|IPV?6?_(FREEBIND|TRANSPARENT)|IP_BIND_ADDRESS|TCP_FASTOPEN)/;

/** Names of the options that could not be given to it. */
export function restoreOptions(fd: number, options: readonly StoredOption[], when: 'early' | 'late'): string[] {
  const wanted = options
    .filter(({ name }) => early.test(name) === (when === 'early'))
    .map(({ name, number, bytes }): OptionValue => ({ name, value: number ?? bytes ?? 0 }));
  return writeOptions(
    fd,
    wanted.toSorted((a, b) => rank(a.name) - rank(b.name)),
  );
}

/** The flags that lock the sizes of the buffers are set by setting the sizes, so they come after. */
function rank(name: string): number {
  return name === 'SO_BUF_LOCK' || name === 'SO_PEEK_OFF' ? 1 : 0;
}
