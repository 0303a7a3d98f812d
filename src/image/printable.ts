/**
 * Text from an image made harmless for a terminal and a log: control characters (escape sequences!), the Unicode
 * characters that reorder or hide text, and lone surrogates become \u{…}.
 */
const harmful: RegExp = /[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu;

/** `text`, escaped, cut off behind `max` characters. */
export function printable(text: string, max: number = Infinity): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return cut.replace(harmful, (character) => {
    if (character === '\n') return '\\n';
    if (character === '\t') return '\\t';
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
  });
}

/** As {@link printable}, in quotes where the text would otherwise run into its surroundings. */
export function quoted(text: string, max: number = Infinity): string {
  const safe = printable(text, max);
  return /^[^\s"'{}[\],=:\\][^\s"{}[\],=\\]*$/.test(safe) ? safe : `"${safe.replaceAll('"', '\\"')}"`;
}
