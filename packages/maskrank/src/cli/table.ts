// Text tables for the terminal. Not here: HTML tables (evaluation/report).

/** Columns aligned by padding, two spaces apart; columns of numbers (and `–`) to the right. The first row is the heading. */
export function textTable(rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) => row.map(String));
  const columns = Math.max(0, ...cells.map((row) => row.length));
  const widths = Array.from({ length: columns }, (_, c) =>
    Math.max(...cells.map((row) => row[c]?.length ?? 0)),
  );
  const isNumber = (cell: string | number | undefined) =>
    typeof cell === 'number' || cell === '–' || cell === '';
  const isNumeric = widths.map((_, c) => rows.length > 1 && rows.slice(1).every((row) => isNumber(row[c])));
  return cells
    .map((row) =>
      row
        .map((cell, c) => (isNumeric[c] ? cell.padStart(widths[c]!) : cell.padEnd(widths[c]!)))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
