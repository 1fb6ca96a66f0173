// Tables: a column says how a row is written and by what it is sorted. The full-precision value stands in data-sort.

import { type Html, type HtmlValue, html } from '../html.ts';

export type Column<Row> = {
  readonly head: HtmlValue;
  /** Second line of the head: unit, tolerance. */
  readonly unit?: HtmlValue;
  /** Right-aligned figures; the first click on the head sorts from the largest. */
  readonly numeric?: boolean;
  /** The column names the row. */
  readonly header?: boolean;
  readonly cell: (row: Row) => HtmlValue;
  /** Value to sort by where it is not the text; undefined sorts last. */
  readonly sort?: (row: Row) => number | string | undefined;
};

export type TableOptions<Row> = {
  /** A line above the table. */
  readonly caption?: HtmlValue;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  /** Scrolls inside a fixed height with its head in place. */
  readonly tall?: boolean;
  /** No wider than its content needs. */
  readonly snug?: boolean;
  /** Keeps the first column in view on a narrow screen. */
  readonly freeze?: boolean;
  readonly sortable?: boolean;
};

export function table<Row>({
  caption,
  columns,
  rows,
  tall = false,
  freeze = false,
  snug = false,
  sortable = true,
}: TableOptions<Row>): Html {
  const names = ['table', tall && 'tall', freeze && 'freeze', snug && 'snug'].filter(Boolean).join(' ');
  return html`${caption !== undefined && html`<p class="fine">${caption}</p>`}<div class="${names}"${tall && html` tabindex="0"`}><table${sortable && html` data-sortable=""`}><thead><tr>${columns.map(
    (column) =>
      html`<th scope="col"${column.numeric === true && html` class="num"`}>${column.head}${column.unit !== undefined && html`<br/><span class="sub">${column.unit}</span>`}</th>`,
  )}</tr></thead><tbody>${rows.map(
    (row) => html`<tr>${columns.map((column) => cell(column, row))}</tr>
`,
  )}</tbody></table></div>`;
}

function cell<Row>(column: Column<Row>, row: Row): Html {
  const name = column.numeric === true && html` class="num"`;
  const key = column.sort?.(row);
  const sort = column.sort !== undefined && html` data-sort="${Number.isNaN(key) ? '' : key}"`;
  return column.header === true
    ? html`<th scope="row"${name}${sort}>${column.cell(row)}</th>`
    : html`<td${name}${sort}>${column.cell(row)}</td>`;
}
