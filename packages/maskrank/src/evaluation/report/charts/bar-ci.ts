// Horizontal bars from zero with their intervals: the gain beside the controls that could explain it.

import { coordinate as c, type Html, html } from '../html.ts';
import { emptyFigure, figure, sentence, shorten, type Tone, xAxis } from './figure.ts';
import { extent, linearScale, type Scale } from './scale.ts';

export type BarItem = {
  readonly name: string;
  readonly tone: Tone;
  /** Hatched instead of solid: a bound or a control, not a result. */
  readonly hatched?: boolean;
  readonly value: number;
  /** 95 % interval where one is known. */
  readonly ci95?: readonly [number, number] | undefined;
  /** Remark behind the name: `n = 153`, `uses ground truth`. */
  readonly remark?: string | undefined;
};

export type BarCiOptions = {
  readonly id: string;
  readonly title: string;
  readonly note?: string | undefined;
  /** Axis name with unit. */
  readonly label: string;
  readonly items: readonly BarItem[];
  readonly format: (value: number) => string;
  readonly width?: number;
};

const ROW = 46;

export function barCi({ id, title, note, label, items, format, width = 480 }: BarCiOptions): Html {
  const rows = items.filter((item) => Number.isFinite(item.value));
  const span = extent(rows.flatMap((item) => [0, item.value, ...(item.ci95 ?? [])]));
  if (span === undefined) return emptyFigure(title, 'No values to show.');
  const height = rows.length * ROW + 56;
  const plot = { left: 16, top: 6, right: width - 16, bottom: height - 44 };
  const x = linearScale({ domain: span, range: [plot.left, plot.right], ticks: 6, nice: true });
  const zero = c(x.at(0));
  return figure({
    id,
    title,
    note,
    description: sentence(rows.map((item) => `${item.name}: ${written(item, format)}`)),
    width,
    height,
    body: html`${xAxis(plot, x, label, format)}<line class="zero" x1="${zero}" y1="${c(plot.top)}" x2="${zero}" y2="${c(plot.bottom)}"/>${rows.map((item, i) => bar(item, plot.top + i * ROW, x, plot.right, format))}`,
  });
}

function bar(item: BarItem, top: number, x: Scale, right: number, format: (value: number) => string): Html {
  const middle = top + 31;
  const from = x.at(Math.min(0, item.value));
  const to = x.at(Math.max(0, item.value));
  const ends = item.ci95?.every(Number.isFinite) ? item.ci95.map((value) => x.at(value)) : undefined;
  const tip = [item.name, written(item, format), item.remark].filter((text) => text !== undefined).join('\n');
  return html`<g class="tone-${item.tone}"><text class="row-label" x="20" y="${c(top + 16)}">${shorten(item.name, 36)}${item.remark !== undefined && html`<tspan class="remark" dx="8">${item.remark}</tspan>`}</text><text class="value" x="${c(right)}" y="${c(top + 16)}" text-anchor="end">${written(item, format)}</text><rect class="${item.hatched === true ? 'bar hollow' : 'bar'}" x="${c(from)}" y="${c(middle - 6)}" width="${c(Math.max(to - from, 0.5))}" height="12" data-tip="${tip}"/>${
    ends &&
    html`<path class="ci" d="M${c(ends[0]!)} ${c(middle)}H${c(ends[1]!)}M${c(ends[0]!)} ${c(middle - 5)}v10M${c(ends[1]!)} ${c(middle - 5)}v10"/>`
  }</g>`;
}

function written(item: BarItem, format: (value: number) => string): string {
  return item.ci95?.every(Number.isFinite)
    ? `${format(item.value)} [${format(item.ci95[0])}, ${format(item.ci95[1])}]`
    : format(item.value);
}
