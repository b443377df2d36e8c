/** Rows of cells padded to columns; trailing blanks cut. Cells must be escaped already. */
export function columns(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, at) => {
      widths[at] = Math.max(widths[at] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, at) => cell.padEnd(widths[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** Lines moved right by `depth` blanks. */
export function indent(lines: readonly string[], depth: number): readonly string[] {
  const pad = ' '.repeat(depth);
  return lines.map((line) => (line === '' ? '' : pad + line));
}
