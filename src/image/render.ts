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
/** Records in an array. */
const shownOfItems = 32;
/** Stands where an array was cut off. */
const cut = '…';
/** Values of text, bytes and arrays are cut off behind so many characters. */
const shownOfValue = 100;

/**
 * The tree as text for people: a line for each record, its fields behind or below it, what stands inside it indented.
 * Text from the image is escaped; the result is safe for a terminal.
 */
export function render(tree: ImageTree, options: RenderOptions = {}): string {
  const style: Style = { all: options.all ?? false, width: options.width ?? 120 };
  const lines = renderRecords(tree.records, '', style);
  if (tree.omitted !== undefined) lines.push(`… ${tree.omitted} records more`);
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
  const lines = layOut(indent + parts.join(' '), node.value, `${indent}    `, style);
  if (node.records !== undefined) lines.push(...renderRecords(node.records, `${indent}  `, style));
  return lines;
}

/**
 * `name value` for each field: behind the heading when all fit there, else on lines of their own, as many on each as fit.
 * What does not fit on a line is laid out in the same way, one step deeper.
 */
function layOut(heading: string, value: JsonValue, indent: string, style: Style): string[] {
  if (typeof value !== 'object') return [`${heading}  ${renderValue(value, style)}`];
  const fields = Object.entries(value).map(([name, item]) => ({ name: printable(name, shownOfValue), item }));
  const texts = fields.map(({ name, item }) => `${name} ${renderValue(item, style)}`);
  const line = [heading, ...texts].join('  ');
  if (line.length <= style.width && !line.includes(cut)) return [line];
  const lines = new Lines([heading], indent, style.width);
  for (const [index, { name, item }] of fields.entries()) {
    const text = texts[index] ?? '';
    const whole = indent.length + text.length <= style.width && !text.includes(cut);
    if (whole || !isNested(item)) lines.add(text);
    else if (isObject(item)) lines.addBlock(layOut(indent + name, item, `${indent}  `, style));
    else lines.addBlock(renderItems(`${indent}${name}`, item, `${indent}  `, style));
  }
  return lines.all();
}

/** Records in an array, one a line. */
function renderItems(heading: string, items: readonly JsonValue[], indent: string, style: Style): string[] {
  const shown = style.all ? items : items.slice(0, shownOfItems);
  const lines = [heading, ...shown.flatMap((item) => layOut(`${indent}-`, item, `${indent}  `, style))];
  return shown.length < items.length ? [...lines, `${indent}… ${items.length} in all`] : lines;
}

class Lines {
  readonly #lines: string[];
  readonly #indent: string;
  readonly #width: number;
  #line = '';

  constructor(lines: string[], indent: string, width: number) {
    this.#lines = lines;
    this.#indent = indent;
    this.#width = width;
  }

  /** To the line at hand if it fits. */
  add(text: string): void {
    if (this.#line !== '' && this.#indent.length + this.#line.length + 2 + text.length > this.#width) this.#end();
    this.#line += this.#line === '' ? text : `  ${text}`;
  }

  addBlock(lines: readonly string[]): void {
    this.#end();
    for (const line of lines) this.#lines.push(line);
  }

  all(): string[] {
    this.#end();
    return this.#lines;
  }

  #end(): void {
    if (this.#line !== '') this.#lines.push(this.#indent + this.#line);
    this.#line = '';
  }
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
    if (length > max && shown.length > 0) return `[${shown.join(', ')}, ${cut} ${items.length} in all]`;
    shown.push(text);
  }
  return `[${shown.join(', ')}]`;
}

/** A record, or an array of records or arrays. */
function isNested(value: JsonValue): value is { readonly [name: string]: JsonValue } | readonly JsonValue[] {
  return isObject(value) || (Array.isArray(value) && value.some((item) => typeof item === 'object'));
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
