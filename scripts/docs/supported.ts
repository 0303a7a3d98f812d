/** docs/supported.md */
import { code, generatedNotice, table } from './markdown.ts';

/** What this page wants to know of a kind of object; src/objects/object.ts describes it whole. */
export interface SupportedKind {
  readonly record: { readonly tag: number; readonly name: string };
  readonly title: string;
  readonly carried: string;
  readonly refused: string;
}

export function supportedPage(kinds: readonly SupportedKind[]): string {
  const rows = kinds.map(({ record, title, carried, refused }) => [
    title,
    carried,
    refused === '' ? '–' : refused,
    code(record.name),
    String(record.tag),
  ]);
  return `${generatedNotice('src/objects/registry.ts')}# What is carried

A checkpoint carries these kinds of objects. Whatever else a process holds is refused before anything is written, everything
in one list, each with what to do about it: nothing is dropped silently.

${table(['object', 'carried', 'refused', 'record', 'tag'], rows)}
`;
}
