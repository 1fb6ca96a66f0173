// Table of the stages: every metric with mean, standard deviation, interval, n and excluded; per image and pooled.

import { count, interval } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { Averaging, Estimate, MetricView, SummaryRow } from '../view-types.ts';
import type { ReportContext, Section } from './section.ts';
import { type Column, table } from './table.ts';

/** Longer tables scroll inside their frame. */
const MOST_ROWS = 20;

export function stagesSection({ view }: ReportContext): Section {
  const shown = view.averagings.filter((averaging) => averaging.rows.length > 0);
  return {
    id: 'stages',
    nav: 'Result by stage',
    title: 'Result by stage',
    body: html`<p class="lede">Mean ± standard deviation, and under it the 95 % interval of the mean. ${view.statistics}</p>${
      shown.length === 0
        ? html`<p class="missing">The evaluation holds no summary.</p>`
        : html`<div data-tabs="Averaging">${shown.map((averaging) => averagingPanel(averaging, view.metrics, { classes: view.classes.length > 1, prefix: 'averaging' }))}</div>`
    }`,
  };
}

/** Tables of one averaging. `prefix`: of the panel's anchor, which must be unique on the page. */
export function averagingPanel(
  averaging: Averaging,
  metrics: readonly MetricView[],
  { classes, prefix }: { readonly classes: boolean; readonly prefix: string },
): Html {
  const used = metrics.filter((metric) => averaging.rows.some((row) => row.values.has(metric.key)));
  const names = [stageColumn(), ...(classes ? [classColumn()] : [])];
  const more = used.filter((metric) => !metric.main);
  return html`<div class="panel" id="${prefix}-${averaging.key}"><h3>${averaging.label}</h3><p class="fine">${averaging.meaning}</p>${table(
    {
      columns: [...names, ...used.filter((metric) => metric.main).map(metricColumn), ...counts(averaging)],
      rows: averaging.rows,
      freeze: true,
      tall: averaging.rows.length > MOST_ROWS,
    },
  )}${
    more.length > 0 &&
    html`<details><summary>${more.map((metric) => metric.label).join(', ')}</summary>${table({
      columns: [...names, ...more.map(metricColumn)],
      rows: averaging.rows,
      freeze: true,
      tall: averaging.rows.length > MOST_ROWS,
    })}</details>`
  }</div>`;
}

function stageColumn(): Column<SummaryRow> {
  return {
    head: 'Stage',
    header: true,
    cell: ({ stage }) => html`<span class="key tone-${stage.tone}"></span>${stage.label}`,
    sort: ({ stage }) => stage.label,
  };
}

function classColumn(): Column<SummaryRow> {
  return { head: 'Class', cell: (row) => row.class.label, sort: (row) => row.class.label };
}

function metricColumn(metric: MetricView): Column<SummaryRow> {
  return {
    head: metric.label,
    unit: metric.detail === undefined ? metric.unit : `${metric.detail}, ${metric.unit}`,
    numeric: true,
    cell: (row) => estimate(row.values.get(metric.key), metric),
    sort: (row) => row.values.get(metric.key)?.mean,
  };
}

function estimate(value: Estimate | undefined, metric: MetricView): Html {
  if (value === undefined) return html`–`;
  return html`${metric.write(value.mean)}${
    value.sd !== undefined && html`<span class="sd"> ± ${metric.write(value.sd)}</span>`
  }${value.ci95 !== undefined && html`<span class="sub">${interval(value.ci95, metric.write)}</span>`}${
    (value.penalised ?? 0) > 0 && html`<span class="sub">${count(value.penalised)} at the diagonal</span>`
  }`;
}

// n and excluded may differ between metrics (a distance to an empty mask is not finite): then both are listed.
function counts(averaging: Averaging): Column<SummaryRow>[] {
  const list = (row: SummaryRow, pick: (value: Estimate) => number | undefined) =>
    [...new Set([...row.values.values()].map(pick).filter((n) => n !== undefined))].toSorted((a, b) => b - a);
  const column = (head: string, pick: (value: Estimate) => number | undefined): Column<SummaryRow> => ({
    head,
    numeric: true,
    cell: (row) => list(row, pick).map(count).join(' / ') || '–',
    sort: (row) => list(row, pick)[0],
  });
  const has = (pick: (value: Estimate) => number | undefined) =>
    averaging.rows.some((row) => list(row, pick).length > 0);
  return [
    ...(has((value) => value.n) ? [column('n', (value) => value.n)] : []),
    ...(has((value) => value.excluded) ? [column('Excluded', (value) => value.excluded)] : []),
  ];
}
