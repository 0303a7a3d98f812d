/** Paths in an image: text where they are UTF-8, as nearly all are, else the bytes beside it. Source: man 7 path_resolution. */
import { isUtf8 } from 'node:buffer';
import { s, type OptionalField, type Schema } from '../image/schema.ts';

export interface PathName {
  readonly path: string;
  /** The path as it is, where it is not UTF-8. */
  readonly pathBytes?: Uint8Array | undefined;
}

/** The schema of {@link PathName}, to be spread into that of a kind. */
export const pathFields: { readonly path: Schema<string>; readonly pathBytes: OptionalField<Uint8Array> } = {
  path: s.text(3 * 4096), // what is not UTF-8 becomes U+FFFD, three bytes each
  pathBytes: s.optional(s.hex(s.bytes(4096))),
};

export function pathName(path: string | Uint8Array): PathName {
  if (typeof path === 'string') return { path };
  const text = Buffer.from(path).toString();
  return isUtf8(path) ? { path: text } : { path: text, pathBytes: path };
}

/** What the calls of this process take. */
export function toPath({ path, pathBytes }: PathName): string | Buffer {
  return pathBytes === undefined ? path : Buffer.from(pathBytes);
}

/** What the calls of a task take: zero-terminated. */
export function pathForTask({ path, pathBytes }: PathName): Uint8Array {
  return Buffer.concat([pathBytes ?? Buffer.from(path), Uint8Array.of(0)]);
}

const deletedSuffix = ' (deleted)';

/** A link of /proc without the suffix that the kernel gives to what has no name any more; undefined when it has none. */
export function withoutDeleted(link: PathName): PathName | undefined {
  const bytes = link.pathBytes ?? Buffer.from(link.path);
  const text = Buffer.from(bytes).toString('latin1');
  if (!text.endsWith(deletedSuffix) || text.length === deletedSuffix.length) return undefined;
  return pathName(bytes.slice(0, -deletedSuffix.length));
}

/** The directory of a path. */
export function parentOf(name: PathName): PathName {
  const bytes = Buffer.from(name.pathBytes ?? Buffer.from(name.path));
  const slash = bytes.lastIndexOf('/');
  return pathName(slash <= 0 ? '/' : bytes.subarray(0, slash));
}
