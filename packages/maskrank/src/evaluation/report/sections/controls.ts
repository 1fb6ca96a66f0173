// The controls beside the gain. A gain over stage 1 is evidence for the rankings only next to what the same effort gives without them.

import { type BarItem, barCi } from '../charts/bar-ci.ts';
import { decimal, interval, MISSING, percent, plural, points, probability } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { ControlView, Estimate, View } from '../view-types.ts';
import type { ReportContext, Section } from './section.ts';
import { table } from './table.ts';

export function controlsSection({ view }: ReportContext): Section | undefined {
  if (view.gain === undefined && view.controls.every((control) => control.gain === undefined))
    return undefined;
  const run = view.controls.filter((control) => control.gain !== undefined);
  return {
    id: 'controls',
    nav: 'Controls',
    title: 'Controls',
    body: html`<p class="lede">Every row is a change against the same stage-1 model on the same cases. Rankings are the reason for a gain only as far as it exceeds what the controls reach without them.</p>${
      run.length === 0 &&
      html`<p class="missing">No control was run, so the gain over stage 1 cannot be attributed: more training alone may give the same. Evaluate the controls and write the report again.</p>`
    }<div class="controls">${barCi({
      id: 'controls-chart',
      title: 'Change of mean Dice over stage 1',
      note: 'Bars with 95 % intervals; hollow: uses ground truth.',
      label: 'Dice points over stage 1',
      items: [...own(view), ...run.map(item)],
      format: (value) => points(value / 100),
    })}</div>${controlTable(view)}${shareText(view)}`,
  };
}

function own(view: View): BarItem[] {
  return view.gain === undefined ? [] : [bar('Alignment (this run)', 'stage2', view.gain, false)];
}

function item(control: ControlView): BarItem {
  return bar(
    control.label,
    control.kind === 'ceiling' ? 'truth' : 'control',
    control.gain!,
    control.kind === 'ceiling',
  );
}

function bar(name: string, tone: BarItem['tone'], gain: Estimate, hatched: boolean): BarItem {
  return {
    name,
    tone,
    hatched,
    value: gain.mean * 100,
    ci95: gain.ci95 && [gain.ci95[0] * 100, gain.ci95[1] * 100],
  };
}

type Row = Pick<ControlView, 'label' | 'question' | 'gain' | 'pooledGain' | 'gap'> & {
  readonly reading: string;
};

function controlTable(view: View): Html {
  const rows: readonly Row[] = [
    ...(view.gain === undefined
      ? []
      : [
          {
            label: 'Alignment (this run)',
            question: 'Stage 2 less stage 1.',
            gain: view.gain,
            pooledGain: view.pooledGain,
            reading: 'the claim',
          },
        ]),
    ...view.controls.map((control) => ({ ...control, reading: reading(control) })),
  ];
  const pooled = rows.some((row) => row.pooledGain !== undefined);
  const estimate = (
    head: string,
    pick: (row: Row) => Estimate | undefined,
    missing: (row: Row) => string,
  ) => ({
    head,
    numeric: true,
    cell: (row: Row) => change(pick(row)) ?? missing(row),
    sort: (row: Row) => pick(row)?.mean,
  });
  return table<Row>({
    caption:
      'Dice points with 95 % intervals, by which the last column reads. p: Wilcoxon signed-rank test over groups, Holm-corrected.',
    columns: [
      {
        head: 'Comparison',
        header: true,
        cell: (row) => html`${row.label}<span class="sub">${row.question}</span>`,
        sort: (row) => row.label,
      },
      estimate(
        'Over stage 1',
        (row) => row.gain,
        () => 'not run',
      ),
      ...(pooled
        ? [
            estimate(
              'Over stage 1, pooled',
              (row) => row.pooledGain,
              () => MISSING,
            ),
          ]
        : []),
      estimate(
        'Alignment less control',
        (row) => row.gap,
        () => MISSING,
      ),
      { head: 'Reading', cell: (row) => row.reading },
    ],
    rows,
    freeze: true,
  });
}

const VERDICT: Readonly<Record<NonNullable<ControlView['explains']>, string>> = {
  explains: 'explains the gain',
  may: 'may explain the gain',
  no: 'does not explain the gain',
};

function reading(control: ControlView): string {
  if (control.gain === undefined) return 'unknown';
  if (control.kind === 'ceiling') return 'upper bound, no rival';
  return control.explains === undefined ? MISSING : VERDICT[control.explains];
}

function change(estimate: Estimate | undefined): Html | undefined {
  if (estimate === undefined) return undefined;
  return html`${points(estimate.mean)}<span class="sub">${interval(estimate.ci95, points)}</span>${
    estimate.p !== undefined && html`<span class="sub">${probability(estimate.p)}</span>`
  }`;
}

function shareText(view: View): Html | false {
  if (view.share === undefined) return false;
  const { better, worse, n } = view.share;
  return html`<p class="fine">Of ${plural(n, 'paired case')} alignment made ${percent(better, 0)} % better and ${percent(worse, 0)} % worse; the rest moved by no more than ${decimal(view.unchangedWithin * 100, 1)} points.</p>`;
}
