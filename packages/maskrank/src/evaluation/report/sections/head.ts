// Top of the page: what run this is, the headline, the key figures, the banners.

import { findings } from '../findings.ts';
import { count, dateTime, interval, percent, plural, points } from '../format.ts';
import { type Html, type HtmlValue, html } from '../html.ts';
import type { ReportInput, ReportWarning } from '../input.ts';
import type { Estimate, StageView, View } from '../view-types.ts';
import type { ReportContext } from './section.ts';

export function head({ input, view }: ReportContext): Html {
  const { headline, aside, banners } = findings(input, view);
  const about = [
    input.dataset.name,
    input.dataset.modality,
    input.title !== input.dataset.name && input.title,
    input.generatedAt !== undefined && dateTime(input.generatedAt),
  ];
  return html`<header id="top"><p class="eyebrow">${about.filter(Boolean).map((text) => html`<span>${text}</span>`)}</p>
<h1>${headline}</h1>
${aside !== undefined && html`<p class="aside">${aside}</p>`}${banners.length > 0 && html`<div class="banners">${banners.map(banner)}</div>`}
<dl class="hero">${keyFigures(input, view)}</dl></header>`;
}

function banner({ severity, title, text }: ReportWarning): Html {
  const tone = { alarm: 'banner alarm', caution: 'banner', note: 'banner note' }[severity];
  return html`<div class="${tone}" role="note"><b>${title}</b><p>${text}</p></div>`;
}

function keyFigures(input: ReportInput, view: View): HtmlValue[] {
  const { split: name } = input.evaluation.dataset;
  const split = input.dataset.splits.find((one) => one.name === name);
  return [
    stageFigure(view, view.stage1),
    stageFigure(view, view.stage2),
    view.gain &&
      figure(
        'Change, paired',
        html`${points(view.gain.mean)}<span class="unit"> points</span>`,
        view.gain.ci95 && `95 % ${interval(view.gain.ci95, points)}`,
      ),
    view.share && shareFigure(view.share),
    split &&
      figure(
        `Images, ${name} split`,
        count(split.cases),
        split.groups !== undefined && `in ${plural(split.groups, 'group')}`,
      ),
  ];
}

function stageFigure(view: View, stage: StageView | undefined): Html | undefined {
  const dice: Estimate | undefined = stage && view.headline.get(stage.key);
  if (stage === undefined || dice === undefined) return undefined;
  return figure(
    html`<span class="key tone-${stage.tone}"></span>${stage.label}, Dice`,
    html`${percent(dice.mean)}<span class="unit"> %</span>`,
    dice.ci95 && `95 % ${interval(dice.ci95, percent)}`,
  );
}

function shareFigure({ better, worse, n }: NonNullable<View['share']>): Html {
  return figure(
    'Better / worse',
    html`${percent(better, 0)} / ${percent(worse, 0)}<span class="unit"> %</span>`,
    `of ${plural(n, 'case')}, ${percent(1 - better - worse, 0)} % unchanged`,
  );
}

function figure(name: HtmlValue, value: HtmlValue, sub: HtmlValue): Html {
  return html`<div class="stat"><dt>${name}</dt><dd><span class="big">${value}</span>${sub && html`<div class="sub">${sub}</div>`}</dd></div>`;
}
