// How proposals and ranking went: what was ranked, what was skipped and why, the headroom the candidates offered, saturation.

import { barCi } from '../charts/bar-ci.ts';
import { count, decimal, duration, MISSING, percent, plural, points } from '../format.ts';
import { type Html, type HtmlValue, html } from '../html.ts';
import type { MetricsLine, ProposalFacts, RoundFacts } from '../input.ts';
import type { ReportContext, Section } from './section.ts';
import { type Column, table } from './table.ts';

export function rankingSection({ input, view }: ReportContext): Section | undefined {
  const facts = input.proposals;
  if (facts === undefined && view.stage2 === undefined) return undefined;
  return {
    id: 'ranking',
    nav: 'Ranking',
    title: 'Proposals and ranking',
    body:
      facts === undefined
        ? html`<p class="missing">Nothing was recorded about proposals and rankings.</p>`
        : html`${how(facts, input.metrics ?? [])}${rounds(facts.rounds)}${reasons(facts.rounds)}`,
  };
}

function how(facts: ProposalFacts, metrics: readonly MetricsLine[]): Html {
  const proposed = sum(facts.rounds.map((round) => round.cases));
  const skipped = sum(facts.rounds.map(skippedIn));
  const rows: readonly (readonly [string, HtmlValue])[] = [
    ['Candidates', `${facts.candidates} a case and class: ${facts.generator}`],
    [
      'Annotator',
      `${facts.annotator}${facts.noise ? `, ${percent(facts.noise, 0)} % of the rankings disturbed` : ''}`,
    ],
    [
      'Ranked',
      `${count(proposed - skipped)} of ${plural(proposed, 'proposal set')}${proposed > 0 ? `, ${percent(skipped / proposed)} % skipped` : ''}`,
    ],
    ['Saturation', saturation(facts.rounds, metrics)],
  ];
  return html`<dl class="pairs">${rows.map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}</dl>`;
}

// From the rounds where they say, else from the alarms in the training log; silence is not taken for none.
function saturation(all: readonly RoundFacts[], metrics: readonly MetricsLine[]): string {
  const said = all.filter((round) => round.saturated !== undefined);
  const raised = said.filter((round) => round.saturated === true).length;
  if (said.length > 0)
    return raised === 0 ? 'no alarm' : `alarm in ${raised} of ${plural(all.length, 'round')}`;
  const lines = metrics.filter((line) => line.stage === 'stage2');
  const alarms = lines.filter((line) => line.alarm === true).length;
  if (lines.length === 0) return 'not recorded';
  return alarms === 0 ? 'no alarm in the training log' : `alarm at ${plural(alarms, 'logged step')}`;
}

function rounds(all: readonly RoundFacts[]): Html | false {
  if (all.length === 0) return false;
  const optional = (
    head: HtmlValue,
    unit: string | undefined,
    pick: (round: RoundFacts) => number | undefined,
    write: (value: number | undefined) => string,
  ): Column<RoundFacts>[] =>
    all.some((round) => pick(round) !== undefined)
      ? [
          {
            head,
            ...(unit !== undefined && { unit }),
            numeric: true,
            cell: (round) => write(pick(round)),
            sort: pick,
          },
        ]
      : [];
  return html`<h3>Rounds</h3>${table<RoundFacts>({
    columns: [
      { head: 'Round', header: true, cell: (round) => String(round.round), sort: (round) => round.round },
      ...optional('From step', undefined, (round) => round.step, count),
      { head: 'Proposed', numeric: true, cell: (round) => count(round.cases), sort: (round) => round.cases },
      {
        head: 'Skipped',
        numeric: true,
        cell: (round) =>
          round.skipped === undefined
            ? '–'
            : `${count(skippedIn(round))} (${percent(skippedIn(round) / round.cases, 0)} %)`,
        sort: (round) => (round.skipped === undefined ? undefined : skippedIn(round)),
      },
      ...optional(
        'Best of four',
        'Dice points',
        (round) => round.oracleHeadroom,
        (value) => points(value),
      ),
      ...optional(
        'Mean of four',
        'Dice points',
        (round) => round.meanHeadroom,
        (value) => points(value),
      ),
      ...optional('Disagreement', 'px, median', (round) => round.disagreementPx, count),
      ...optional(
        'R at end',
        undefined,
        (round) => round.rewardAtEnd,
        (value) => decimal(value, 2),
      ),
      ...optional('Time', undefined, (round) => round.elapsedMs, duration),
      ...(all.some((round) => round.saturated !== undefined)
        ? [
            {
              head: 'Alarm',
              cell: (round: RoundFacts) =>
                round.saturated === true ? html`<b class="alarm-text">saturated</b>` : MISSING,
              sort: (round: RoundFacts) => (round.saturated === true ? 1 : 0),
            },
          ]
        : []),
    ],
    rows: all,
    freeze: true,
  })}${all.some((round) => round.oracleHeadroom !== undefined) && html`<p class="fine">Best of four: how far the best candidate lies above the current mask, in Dice points, mean over the sets that were shown to the annotator. It is what one round offers to a model that could simply take the best. Mean of four: the same for the average candidate; below zero, most are worse than the current mask. Both are measured with the hidden masks, which only the virtual annotator holds; nothing learns from them. A large offer does not predict a large gain, since small ones compound over the rounds; a best near zero leaves nothing to rank.</p>`}`;
}

function reasons(all: readonly RoundFacts[]): Html | false {
  const totals = new Map<string, number>();
  for (const round of all) {
    for (const [reason, n] of Object.entries(round.skipped ?? {}))
      totals.set(reason, (totals.get(reason) ?? 0) + n);
  }
  const items = [...totals].filter(([, n]) => n > 0).toSorted((a, b) => b[1] - a[1]);
  if (items.length === 0) return false;
  return html`<div class="charts">${barCi({
    id: 'skipped-chart',
    title: 'Why proposal sets were skipped',
    note: 'A skipped set carries no preference and moves nothing.',
    label: 'proposal sets, all rounds',
    items: items.map(([name, value]) => ({ name, value, tone: 'control' })),
    format: count,
  })}</div>`;
}

function skippedIn(round: RoundFacts): number {
  return sum(Object.values(round.skipped ?? {}));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
