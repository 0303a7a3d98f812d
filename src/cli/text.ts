/** Plain text for a terminal: paragraphs, columns, sizes and durations. */

/** The words of `text` in lines of at most `width` columns, each after `indent`. */
export function paragraph(text: string, width: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(indent + line);
  return lines;
}

/** Two columns, the second one wrapped; for labels and their meanings. */
export function columns(rows: readonly (readonly [string, string])[], width: number): string[] {
  const labelWidth = Math.max(...rows.map(([label]) => label.length)) + 4;
  return rows.flatMap(([label, meaning]) => {
    const lines = paragraph(meaning, Math.max(width - labelWidth, 30));
    return lines.map((line, index) => (index === 0 ? `  ${label}`.padEnd(labelWidth) : ' '.repeat(labelWidth)) + line);
  });
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `1.5 MiB` */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[unit]}`;
}

/** `0.42 ms`, `12.3 ms`, `1.80 s` */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 2 : 1)} ms`;
}
