// Single cases: pictures of the best, median and worst with their ranked candidates, and the table of all.

import { count, decimal, percent, plural, points } from '../format.ts';
import { type Html, type HtmlValue, html } from '../html.ts';
import type { CasePanels, Picture, RankedCandidate } from '../input.ts';
import type { CaseRow, View } from '../view-types.ts';
import type { ReportContext, Section } from './section.ts';
import { type Column, table } from './table.ts';

/** Rows of the table of all cases; more would make the page slow, and evaluation.json has them all. */
export const MOST_CASE_ROWS = 1000;

const ROLES: Readonly<Record<CasePanels['role'], string>> = {
  best: 'Best',
  median: 'Median',
  worst: 'Worst',
  example: 'Examples',
};

export function casesSection({ input, view }: ReportContext): Section {
  const panels = input.panels ?? [];
  const roles = (Object.keys(ROLES) as CasePanels['role'][]).filter((role) =>
    panels.some((panel) => panel.role === role),
  );
  return {
    id: 'cases',
    nav: 'Cases',
    title: 'Cases',
    body: html`${
      roles.length === 0
        ? html`<p class="missing">No case pictures were handed to this report.</p>`
        : html`<p class="lede">Contours: ${CONTOUR_KEY}. Click to enlarge.</p><div data-tabs="Cases">${roles.map(
            (role) =>
              html`<div class="panel" id="cases-${role}"><h3>${ROLES[role]}</h3>${panels
                .filter((panel) => panel.role === role)
                .map((panel) => article(panel, view))}</div>`,
          )}</div>`
    }${view.cases.length > 0 && allCases(view)}`,
  };
}

const CONTOUR_KEY = html`<span class="contour groundTruth">ground truth</span>, <span class="contour stage1">stage 1</span>, <span class="contour stage2">stage 2</span>, <span class="contour candidate">candidate</span>`;

function article(panel: CasePanels, view: View): Html {
  const row = view.cases.find((one) => one.case === panel.case && one.class.key === String(panel.class));
  const name = row?.class.label ?? String(panel.class);
  const picture = (what: string, image: Picture | undefined, sub?: HtmlValue) =>
    image &&
    tile(
      image,
      `${panel.case}, ${name}: ${what}`,
      html`${what}${sub !== undefined && html` <span class="sub">${sub}</span>`}`,
    );
  const candidates = panel.candidates ?? [];
  return html`<article class="case"><header><h4>${panel.case}</h4>${view.classes.length > 1 && html`<span class="scores">${name}</span>`}${row && scores(row)}</header>
<div class="tiles">${picture('Image', panel.image)}${picture('Ground truth', panel.groundTruth)}${picture('Stage 1', panel.stage1, dice(row?.before))}${picture('Stage 2', panel.stage2, dice(row?.after))}</div>${
    candidates.length > 0 &&
    html`<p class="tiles-title">Candidates as ranked, best first</p><div class="tiles ranked">${candidates.map(
      (candidate) => ranked(candidate, `${panel.case}, ${name}`),
    )}</div>`
  }</article>`;
}

function scores({ before, after, change }: CaseRow): Html {
  return html`<span class="scores">Dice ${before !== undefined && html`${percent(before)} %`}${before !== undefined && after !== undefined && ' → '}${
    after !== undefined && html`${percent(after)} %`
  }${change !== undefined && html` <span class="${change > 0 ? 'up' : change < 0 ? 'down' : ''}">${points(change)} points</span>`}</span>`;
}

function dice(value: number | undefined): string | undefined {
  return value === undefined ? undefined : `Dice ${percent(value)} %`;
}

function ranked(candidate: RankedCandidate, where: string): Html {
  const facts = [
    candidate.grade !== undefined && `grade ${candidate.grade}`,
    candidate.iou !== undefined && `IoU ${percent(candidate.iou)} %`,
    candidate.dice !== undefined && `Dice ${percent(candidate.dice)} %`,
  ].filter((fact) => fact !== false);
  return tile(
    candidate,
    `${where}: candidate ranked ${candidate.rank}`,
    html`<span class="${candidate.rank === 1 ? 'rank first' : 'rank'}">${candidate.rank}</span>${candidate.made ?? ''}${
      facts.length > 0 && html`<span class="sub">${facts.join(' · ')}</span>`
    }`,
  );
}

export function tile({ png, width, height }: Picture, alt: string, caption: HtmlValue): Html {
  const data = Buffer.from(png.buffer, png.byteOffset, png.byteLength).toString('base64');
  return html`<figure class="tile"><button class="zoom" type="button"><img src="data:image/png;base64,${data}" width="${width}" height="${height}" alt="${alt}"/></button><figcaption>${caption}</figcaption></figure>`;
}

function allCases(view: View): Html {
  const rows = view.cases.toSorted((a, b) => size(b.change) - size(a.change)).slice(0, MOST_CASE_ROWS);
  const left = view.cases.length - rows.length;
  return html`<details><summary>All cases<span class="sub">${plural(rows.length, 'row')}${
    left > 0 && `, the largest changes; ${count(left)} more in evaluation.json`
  }</span></summary>${table<CaseRow>({ columns: caseColumns(view, rows), rows, tall: true, freeze: true })}</details>`;
}

// Columns that no row has a value for are left out.
function caseColumns(view: View, rows: readonly CaseRow[]): Column<CaseRow>[] {
  const before = view.stage1?.label ?? 'Stage 1';
  const after = view.stage2?.label ?? 'Stage 2';
  const dice = (value: number | undefined) => percent(value);
  const distance = (value: number | undefined) => decimal(value, 1);
  const change = (value: number | undefined) => points(value);
  const numbers = [
    { head: before, unit: 'Dice, %', pick: (row: CaseRow) => row.before, write: dice },
    { head: after, unit: 'Dice, %', pick: (row: CaseRow) => row.after, write: dice },
    { head: 'Change', unit: 'Dice points', pick: (row: CaseRow) => row.change, write: change },
    { head: before, unit: 'HD95, px', pick: (row: CaseRow) => row.hd95Before, write: distance },
    { head: after, unit: 'HD95, px', pick: (row: CaseRow) => row.hd95After, write: distance },
  ];
  return [
    {
      head: 'Case',
      header: true,
      cell: (row) => html`<span class="mono">${row.case}</span>`,
      sort: (row) => row.case,
    },
    ...(view.classes.length > 1 ? [{ head: 'Class', cell: (row: CaseRow) => row.class.label }] : []),
    ...numbers
      .filter(({ pick }) => rows.some((row) => pick(row) !== undefined))
      .map(({ head, unit, pick, write }) => ({
        head,
        unit,
        numeric: true,
        cell: (row: CaseRow) => write(pick(row)),
        sort: pick,
      })),
  ];
}

function size(change: number | undefined): number {
  return change === undefined || Number.isNaN(change) ? -1 : Math.abs(change);
}
