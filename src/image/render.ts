import type { ImageNode, ImageTree } from './inspect.ts';
import type { JsonValue } from './json.ts';
import { printable, quoted } from './printable.ts';

export interface RenderOptions {
  /** Every record and every value in full length. */
  readonly all?: boolean;
  /** Where lines are broken, in columns. Default 120. */
  readonly width?: number;
}

interface Style {
  readonly all: boolean;
  readonly width: number;
}

/** Records with data shown of a row of them; the others are summed up. */
const shownOfRow = 4;
/** Values of text, bytes and arrays are cut off behind so many characters. */
const shownOfValue = 100;

/**
 * The tree as text for people: a line for each record, its fields behind or below it, what stands inside it indented.
 * Text from the image is escaped; the result is safe for a terminal.
 */
export function render(tree: ImageTree, options: RenderOptions = {}): string {
  const style: Style = { all: options.all ?? false, width: options.width ?? 120 };
  const lines = renderRecords(tree.records, '', style);
  if (tree.error !== undefined) lines.push(`DAMAGED: ${printable(tree.error.message)}`);
  return `${lines.join('\n')}\n`;
}

function renderRecords(records: readonly ImageNode[], indent: string, style: Style): string[] {
  const lines: string[] = [];
  for (let index = 0; index < records.length;) {
    const row = style.all ? 0 : rowAt(records, index);
    const shown = row > shownOfRow + 1 ? shownOfRow : Math.max(row, 1);
    for (const node of records.slice(index, index + shown)) lines.push(...renderNode(node, indent, style));
    if (row > shown) lines.push(`${indent}… ${summary(records.slice(index + shown, index + row))}`);
    index += Math.max(row, 1);
  }
  return lines;
}

/** How many records with data and of the same kind follow each other. */
function rowAt(records: readonly ImageNode[], from: number): number {
  const kind = records[from]?.kind;
  let end = from;
  while (records[end]?.data !== undefined && records[end]?.kind === kind) end++;
  return end - from;
}

function summary(nodes: readonly ImageNode[]): string {
  const bytes = nodes.reduce((sum, node) => sum + (node.data?.bytes ?? 0), 0);
  return `${nodes.length} more ${nodes[0]?.kind ?? ''}, ${size(bytes)}`;
}

function renderNode(node: ImageNode, indent: string, style: Style): string[] {
  const parts = [node.kind];
  if (node.objref !== undefined) parts.push(`#${node.objref}`);
  if (node.title !== undefined) parts.push(printable(node.title));
  if (node.data !== undefined) parts.push(`[${size(node.data.bytes)} at ${node.data.offset}]`);
  const heading = indent + parts.join(' ');
  const lines = appendFields(heading, fieldsOf(node.value, style), `${indent}    `, style);
  if (node.records !== undefined) lines.push(...renderRecords(node.records, `${indent}  `, style));
  return lines;
}

/** `name value` for each field. */
function fieldsOf(value: JsonValue, style: Style): string[] {
  if (!isObject(value)) return [renderValue(value, style)];
  return Object.entries(value).map(([name, item]) => `${printable(name, shownOfValue)} ${renderValue(item, style)}`);
}

/** Behind the heading when all fit there, else on lines of their own, as many on each as fit. */
function appendFields(heading: string, fields: readonly string[], indent: string, style: Style): string[] {
  const all = [heading, ...fields].join('  ');
  if (all.length <= style.width) return [all];
  const lines = [heading];
  let line = '';
  for (const field of fields) {
    if (line !== '' && indent.length + line.length + 2 + field.length > style.width) {
      lines.push(indent + line);
      line = '';
    }
    line += line === '' ? field : `  ${field}`;
  }
  if (line !== '') lines.push(indent + line);
  return lines;
}

function renderValue(value: JsonValue, style: Style): string {
  const max = style.all ? Infinity : shownOfValue;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return value.length > max ? `${quoted(value, max)} (${value.length})` : quoted(value);
  if (!isObject(value)) return renderArray(value, style, max);
  const fields = Object.entries(value).map(([name, item]) => `${printable(name, max)}: ${renderValue(item, style)}`);
  return `{${fields.join(', ')}}`;
}

function renderArray(items: readonly JsonValue[], style: Style, max: number): string {
  const shown: string[] = [];
  let length = 0;
  for (const item of items) {
    const text = renderValue(item, style);
    length += text.length + 2;
    if (length > max && shown.length > 0) return `[${shown.join(', ')}, … ${items.length} in all]`;
    shown.push(text);
  }
  return `[${shown.join(', ')}]`;
}

function isObject(value: JsonValue): value is { readonly [name: string]: JsonValue } {
  return typeof value === 'object' && !Array.isArray(value);
}

const units: readonly string[] = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];

function size(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
