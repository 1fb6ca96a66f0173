// Where the mean comes from: box plot per stage and stage 1 against stage 2 case by case, one panel a class.

import { boxPlot } from '../charts/box-plot.ts';
import { pairedScatter } from '../charts/paired-scatter.ts';
import { decimal, points } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { ClassView, View } from '../view-types.ts';
import type { ReportContext, Section } from './section.ts';

export function distributionSection({ view }: ReportContext): Section | undefined {
  if (view.cases.length === 0) return undefined;
  return {
    id: 'distribution',
    nav: 'Case by case',
    title: 'Case by case',
    body: html`<p class="lede">A mean hides who gained. Each dot is one test case; the pointer names it.</p><div data-tabs="Class">${view.classes.map(
      (one, i) => panel(view, one, i),
    )}</div>`,
  };
}

function panel(view: View, one: ClassView, index: number): Html {
  const groups = view.stages.map((stage) => ({
    name: stage.label,
    tone: stage.tone,
    values: view.values(stage, one).map(({ value, label }) => ({ value: value * 100, label })),
  }));
  const percentValue = (value: number) => decimal(value, Number.isInteger(value) ? 0 : 1);
  return html`<div class="panel" id="class-${index}"><h3>${one.label}</h3><div class="charts">${boxPlot({
    id: `box-${index}`,
    title: 'Dice per stage',
    note: 'Box: quartiles; line: median; diamond: mean.',
    label: 'Dice (%)',
    groups,
    domain: [undefined, 100],
    format: percentValue,
  })}${
    view.stage1 !== undefined && view.stage2 !== undefined
      ? pairedScatter({
          id: `pairs-${index}`,
          title: `${view.stage1.label} against ${view.stage2.label}`,
          beforeLabel: `${view.stage1.label}, Dice (%)`,
          afterLabel: `${view.stage2.label}, Dice (%)`,
          pairs: view
            .pairs(one)
            .map(({ label, before, after }) => ({ label, before: before * 100, after: after * 100 })),
          unchangedWithin: view.unchangedWithin * 100,
          domain: [undefined, 100],
          format: percentValue,
          formatChange: (value) => points(value / 100),
        })
      : html`<p class="missing">No stage 2 in this evaluation: there is nothing to pair.</p>`
  }</div></div>`;
}
