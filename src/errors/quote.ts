const shown = 200;

/**
 * Makes a name from an object safe to print: control characters, terminal sequences,
 * bidirectional overrides and bytes that were not UTF-8 (kept as lone surrogates, see
 * `bytes/text.ts`) are written as escapes, quotes and backslashes too, and what is very
 * long is cut. The result holds printable characters only.
 */
export function escapeName(name: string): string {
  const cut = name.length > shown ? name.slice(0, shown) : name;
  let out = '';
  for (const char of cut) out += escapeChar(char);
  return cut === name ? out : `${out}… (${name.length} characters)`;
}

/** {@link escapeName} in single quotes. */
export function quoteName(name: string): string {
  return `'${escapeName(name)}'`;
}

function escapeChar(char: string): string {
  const code = char.codePointAt(0) as number;
  if (char === "'" || char === '\\') return `\\${char}`;
  if (code >= 0x20 && code < 0x7f) return char;
  if (char === '\n') return '\\n';
  if (char === '\t') return '\\t';
  // A lone surrogate in U+DC80..U+DCFF stands for one byte that was not UTF-8.
  if (code >= 0xdc80 && code <= 0xdcff) return `\\x${(code - 0xdc00).toString(16)}`;
  if (/^[\p{L}\p{N}\p{P}\p{S}\p{M}]$/u.test(char)) return char;
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
