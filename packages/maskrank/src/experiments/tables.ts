// The numbers of an experiment as tables in the paper's layout: Markdown, LaTeX, CSV. Per cent for shares, pixels and millimetres for
// distances. Pure. Not here: the numbers (collect.ts).

import { EMPTIES_MEANING } from '../evaluation/empties.ts';
import { percent, points } from '../evaluation/report/format.ts';
import type { Result, Results } from './collect.ts';
import type { Paper } from './paper.ts';
import { type Row, shareOf } from './rows.ts';

/** A column: one metric on one data set, of all rows or of those with a share of the data. */
type Column = {
  readonly data: string;
  readonly metric: string;
  readonly share?: number;
  readonly isPaper: boolean;
};

/** A line: the row, or of an arm the rows by share. */
type Line = { readonly title: string; readonly rowOf: (column: Column) => Row | undefined };

const TITLES: Readonly<Record<string, string>> = {
  dice: 'Dice',
  iou: 'IoU',
  precision: 'precision',
  recall: 'recall',
};

/** `Dice`, `surface Dice @2px`, `HD95 px` */
export const metricTitle = (metric: string): string =>
  TITLES[metric] ??
  metric
    .replace('surfaceDice@', 'surface Dice @')
    .replace(/^hd95(Px|Mm)$/, (_, unit) => `HD95 ${unit.toLowerCase()}`);

const isShare = (metric: string): boolean => metric in TITLES || metric.startsWith('surfaceDice');

const written = (value: number, metric: string): string =>
  isShare(metric) ? percent(value) : value.toFixed(1);

type Grid = { readonly head: readonly string[]; readonly body: readonly (readonly string[])[] };

function columnsOf({ definition, data, rows, results }: Results): Column[] {
  const shares = [...new Set(rows.map(shareOf))].sort((a, b) => a - b);
  const both = (column: Omit<Column, 'isPaper'>): Column[] => {
    const ids = new Set(
      rows.filter((row) => column.share === undefined || shareOf(row) === column.share).map(({ id }) => id),
    );
    const stated = results.some(
      ({ row, data: name, metric, paper }) =>
        paper !== undefined && ids.has(row) && name === column.data && metric === column.metric,
    );
    return [{ ...column, isPaper: false }, ...(stated ? [{ ...column, isPaper: true }] : [])];
  };
  return data.flatMap(({ name, metrics }) =>
    definition.layout === 'shares'
      ? shares.flatMap((share) => both({ data: name, metric: 'dice', share }))
      : metrics.flatMap((metric) => both({ data: name, metric })),
  );
}

function linesOf({ definition, rows }: Results): Line[] {
  if (definition.layout === 'rows') return rows.map((row) => ({ title: row.title, rowOf: () => row }));
  const arms = [...new Set(rows.map(({ arm }) => arm))];
  return arms.map((arm) => {
    const own = rows.filter((row) => row.arm === arm);
    return { title: own[0]!.armTitle, rowOf: ({ share }) => own.find((row) => shareOf(row) === share) };
  });
}

/** Every number of the table as text. `sign` marks a difference that the test tells from chance. */
function gridOf(all: Results, text: { readonly plusMinus: string; readonly sign: string }): Grid {
  const columns = columnsOf(all);
  const head = columns.map(({ data, metric, share, isPaper }) => {
    const place = share === undefined ? '' : ` ${percent(share, 0)} %`;
    return `${data}${place} ${metricTitle(metric)}${isPaper ? ', paper' : ''}`;
  });
  const body = linesOf(all).map((line) => [
    line.title,
    ...columns.map((column) => {
      const row = line.rowOf(column)?.id;
      const result = all.results.find(
        (r) => r.row === row && r.data === column.data && r.metric === column.metric,
      );
      if (result === undefined) return '–';
      if (column.isPaper)
        return result.paper === undefined
          ? '–'
          : `${percent(result.paper.value, 2)}${result.paper.confidence === 'medium' ? ' (M)' : ''}`;
      const { mean, sd, metric, difference } = result;
      const spread = sd === null ? '' : `${text.plusMinus}${written(sd, metric)}`;
      return `${written(mean, metric)}${spread}${difference !== undefined && difference.pHolm < 0.05 ? text.sign : ''}`;
    }),
  ]);
  return { head: [all.definition.layout === 'shares' ? 'method' : 'setting', ...head], body };
}

/** What a reader must know of the numbers, in sentences. */
export function notesOf(all: Results, paper: Paper): string[] {
  const { definition, seeds, data, empties, results, missing } = all;
  const hasPaper = results.some((result) => result.paper !== undefined);
  const compared = results.some(({ difference }) => difference !== undefined);
  const theirs = data.filter(({ name }) => paper.data[name] !== undefined);
  return [
    `Per cent, mean over test images${seeds.length > 1 ? `, then mean ± standard deviation over seeds ${seeds.join(', ')}` : `, seed ${seeds[0]}`}; of several classes, an image's value is the mean over its classes.`,
    ...empties.map((policy) => `Empty masks, ${policy}: ${EMPTIES_MEANING[policy]}`),
    ...(compared
      ? [
          `*: differs from ${definition.reference} on the same images (paired permutation test over patients, means over seeds, p < 0.05 after Holm's correction over the rows).`,
        ]
      : []),
    ...(hasPaper
      ? [
          `Paper: ${paper.source}; on ${theirs.map(({ name }) => `${name}: ${paper.data[name]}`).join('; ')}. Other images and other weights than ours unless you use the same. Without a mark: ${paper.confidence.high}; (M): ${paper.confidence.medium}.`,
        ]
      : []),
    ...(missing.length > 0
      ? [`${missing.length} of ${all.rows.length * data.length * seeds.length} numbers are missing.`]
      : []),
  ];
}

export function markdownTable(all: Results, paper: Paper): string {
  const { head, body } = gridOf(all, { plusMinus: ' ± ', sign: '*' });
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [
    `## ${all.definition.title}`,
    '',
    all.definition.about,
    '',
    line(head),
    `|${head.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|`,
    ...body.map(line),
    '',
    ...notesOf(all, paper).map((note) => `- ${note}`),
    ...differencesMarkdown(all),
    ...costsMarkdown(all),
    '',
  ].join('\n');
}

function differencesMarkdown({ results, definition, rows }: Results): string[] {
  const compared = results.filter(({ difference, metric }) => difference !== undefined && metric === 'dice');
  if (compared.length === 0) return [];
  const title = (id: string) => rows.find((row) => row.id === id)?.title ?? id;
  return [
    '',
    `### Differences from ${definition.reference}, Dice points`,
    '',
    '| setting | data | than | difference [95 %] | p | p, Holm | cases | left out |',
    '|---|---|---|---:|---:|---:|---:|---:|',
    ...compared.map(({ row, data, difference }) => {
      const { reference, mean, ci95, p, pHolm, n, unpaired } = difference!;
      const interval = ci95 === null ? '' : ` [${points(ci95[0])}, ${points(ci95[1])}]`;
      return `| ${title(row)} | ${data} | ${title(reference)} | ${points(mean)}${interval} | ${pText(p)} | ${pText(pHolm)} | ${n} | ${unpaired} |`;
    }),
    ...(compared.some(({ difference }) => difference!.unpaired > 0)
      ? [
          '',
          '- Left out: cases and classes where only one of the two rows has a number. A row that rightly finds nothing has none, so false alarms of the other row are not in these differences, but in the means above. With `--empties one` it has 1.',
        ]
      : []),
  ];
}

const pText = (p: number): string => (p < 0.001 ? '< 0.001' : p.toFixed(3));

function costsMarkdown({ costs, rows, definition }: Results): string[] {
  if (costs.length === 0 || !definition.figures.some(({ x }) => x === 'minutes')) return [];
  const number = (value: number) => String(Math.round(value * 10) / 10);
  return [
    '',
    '### What a person did',
    '',
    '| setting | data | masks | for validation | boxes | judgements | minutes |',
    '|---|---|---:|---:|---:|---:|---:|',
    ...costs.map(({ row, data, minutes, labour }) => {
      const { masks, validationMasks, boxes, judgements } = labour;
      const cells = [masks, validationMasks, boxes, judgements, minutes].map(number).join(' | ');
      return `| ${rows.find(({ id }) => id === row)?.title ?? row} | ${data} | ${cells} |`;
    }),
    '',
    '- Means over seeds. Boxes on images that are to be predicted are not counted, nor masks of test images.',
  ];
}

/** A `tabular` with a caption; needs no package. */
export function latexTable(all: Results, paper: Paper): string {
  const { head, body } = gridOf(all, { plusMinus: ' $\\pm$ ', sign: '$^{*}$' });
  const line = (cells: readonly string[]) => `${cells.map(latexText).join(' & ')} \\\\`;
  return [
    '\\begin{table}',
    `\\caption{${latexText(all.definition.title)}. ${notesOf(all, paper).map(latexText).join(' ')}}`,
    `\\begin{tabular}{l${'r'.repeat(head.length - 1)}}`,
    '\\hline',
    line(head),
    '\\hline',
    ...body.map(line),
    '\\hline',
    '\\end{tabular}',
    '\\end{table}',
    '',
  ].join('\n');
}

const LATEX: Readonly<Record<string, string>> = {
  '–': '--',
  '−': '$-$',
  '±': '$\\pm$',
  β: '$\\beta$',
  '→': '$\\to$',
};

/** Text for LaTeX; our own `$…$` stays. */
function latexText(text: string): string {
  return text
    .split(/(\$[^$]*\$)/)
    .map((part) =>
      part.startsWith('$') && part.length > 1
        ? part
        : part.replace(/[%&#_{}]/g, '\\$&').replace(/[–−±β→]/g, (sign) => LATEX[sign]!),
    )
    .join('');
}

const csvCell = (value: string | number | null): string => {
  const text = value === null ? '' : String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const csv = (lines: readonly (readonly (string | number | null)[])[]): string =>
  lines.map((line) => `${line.map(csvCell).join(',')}\n`).join('');

/** A line a row, data set and metric: means over seeds, shares 0..1. */
export function csvTable({ results, rows, costs }: Results): string {
  const head = [
    ...['row', 'title', 'method', 'labelled', 'unlabelled', 'data', 'metric', 'mean', 'sd', 'seeds'],
    ...[
      'paper',
      'paper_confidence',
      'reference',
      'difference',
      'ci95_low',
      'ci95_high',
      'p',
      'p_holm',
      'cases',
    ],
    'annotator_minutes',
  ];
  const lines = results.map((result: Result) => {
    const row = rows.find(({ id }) => id === result.row)!;
    const { paper, difference } = result;
    const cost = costs.find((item) => item.row === result.row && item.data === result.data);
    return [
      ...[row.id, row.title, row.method.name, row.labelled, row.unlabelled, result.data, result.metric],
      ...[result.mean, result.sd, result.perSeed.length, paper?.value ?? null, paper?.confidence ?? null],
      ...[difference?.reference ?? null, difference?.mean ?? null],
      ...[difference?.ci95?.[0] ?? null, difference?.ci95?.[1] ?? null, difference?.p ?? null],
      ...[difference?.pHolm ?? null, difference?.n ?? null, cost?.minutes ?? null],
    ];
  });
  return csv([head, ...lines]);
}

/** A line a row, data set, metric and seed, with the run that it is from. */
export function csvValues({ results, sources }: Results): string {
  const lines = results.flatMap(({ row, data, metric, perSeed }) =>
    perSeed.map(({ seed, value }) => {
      const source = sources.find((s) => s.row === row && s.data === data && s.seed === seed);
      return [row, data, metric, seed, value, source?.run ?? null, source?.stage ?? null];
    }),
  );
  return csv([['row', 'data', 'metric', 'seed', 'value', 'run', 'stage'], ...lines]);
}
