// What all charts share: the <figure> with caption, legend and SVG, the axes, and the colours by meaning.
// Colours are CSS variables of the page (style.ts), chosen for colour-blind readers; line styles and marker shapes repeat them.

import { coordinate as c, type Html, type HtmlValue, html } from '../html.ts';
import type { Scale } from './scale.ts';

/** What a colour means; the same everywhere in the report. */
export type Tone =
  | 'stage1'
  | 'stage2'
  | 'truth'
  | 'control'
  | 'series-a'
  | 'series-b'
  | 'series-c'
  | 'series-d';

export type LegendEntry = {
  readonly label: string;
  readonly tone: Tone;
  readonly mark: 'line' | 'dashed' | 'dotted' | 'dot' | 'ring' | 'reference' | 'event' | 'alarm';
};

export type FigureOptions = {
  /** Unique in the page: the SVG's title and description hang on it. */
  readonly id: string;
  /** Heading and accessible name. */
  readonly title: string;
  /** What the chart shows in a sentence or two with its numbers, for those who cannot see it. */
  readonly description: string;
  /** Remark under the heading that everyone sees. */
  readonly note?: string | undefined;
  readonly legend?: readonly LegendEntry[];
  readonly width: number;
  readonly height: number;
  readonly body: HtmlValue;
};

export function figure({
  id,
  title,
  description,
  note,
  legend = [],
  width,
  height,
  body,
}: FigureOptions): Html {
  return html`<figure class="chart">
<figcaption><span class="chart-title">${title}</span>${note !== undefined && html`<span class="chart-note">${note}</span>`}${
    legend.length > 0 && html`<span class="legend">${legend.map(legendItem)}</span>`
  }</figcaption>
<svg viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${id}-title ${id}-desc"><title id="${id}-title">${title}</title><desc id="${id}-desc">${description}</desc>${body}</svg>
</figure>`;
}

/** The same frame where there is nothing to draw: says so instead of an empty chart. */
export function emptyFigure(title: string, reason: string): Html {
  return html`<figure class="chart chart-empty"><figcaption><span class="chart-title">${title}</span></figcaption><p class="missing">${reason}</p></figure>`;
}

export type Plot = {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
};

/** Horizontal axis below the plot: grid lines, tick labels, name with unit. */
export function xAxis(
  plot: Plot,
  scale: Scale,
  label: string,
  write: (value: number) => string,
  grid = true,
): Html {
  const marks = scale.ticks.map((tick) => {
    const x = c(scale.at(tick));
    return html`${grid && html`<line class="grid" x1="${x}" y1="${c(plot.top)}" x2="${x}" y2="${c(plot.bottom)}"/>`}<text class="tick" x="${x}" y="${c(plot.bottom + 17)}" text-anchor="middle">${write(tick)}</text>`;
  });
  return html`${marks}<line class="axis" x1="${c(plot.left)}" y1="${c(plot.bottom)}" x2="${c(plot.right)}" y2="${c(plot.bottom)}"/><text class="axis-label" x="${c((plot.left + plot.right) / 2)}" y="${c(plot.bottom + 36)}" text-anchor="middle">${shorten(label, 48)}</text>`;
}

/** Vertical axis left of the plot. */
export function yAxis(plot: Plot, scale: Scale, label: string, write: (value: number) => string): Html {
  const marks = scale.ticks.map((tick) => {
    const y = scale.at(tick);
    return html`<line class="grid" x1="${c(plot.left)}" y1="${c(y)}" x2="${c(plot.right)}" y2="${c(y)}"/><text class="tick" x="${c(plot.left - 7)}" y="${c(y + 4)}" text-anchor="end">${write(tick)}</text>`;
  });
  const middle = c((plot.top + plot.bottom) / 2);
  return html`${marks}<text class="axis-label" transform="translate(13 ${middle}) rotate(-90)" text-anchor="middle">${shorten(label, 32)}</text>`;
}

/** Path data through points already in SVG units. */
export function pathData(points: readonly (readonly [number, number])[]): string {
  return points.map(([x, y], i) => `${i === 0 ? 'M' : 'L'}${c(x)} ${c(y)}`).join('');
}

const MARKS: Readonly<Record<LegendEntry['mark'], Html>> = {
  line: html`<line class="stroke" x1="0" y1="6" x2="22" y2="6"/>`,
  dashed: html`<line class="stroke dashed" x1="0" y1="6" x2="22" y2="6"/>`,
  dotted: html`<line class="stroke dotted" x1="0" y1="6" x2="22" y2="6"/>`,
  dot: html`<circle class="fill" cx="6" cy="6" r="4"/>`,
  ring: html`<circle class="ring" cx="6" cy="6" r="3.5"/>`,
  reference: html`<line class="reference" x1="0" y1="6" x2="22" y2="6"/>`,
  event: html`<line class="event" x1="6" y1="0" x2="6" y2="12"/>`,
  alarm: html`<line class="event alarm" x1="6" y1="0" x2="6" y2="12"/>`,
};

const WIDE_MARKS: ReadonlySet<LegendEntry['mark']> = new Set(['line', 'dashed', 'dotted', 'reference']);

function legendItem({ label, tone, mark }: LegendEntry): Html {
  const width = WIDE_MARKS.has(mark) ? 22 : 12;
  return html`<span class="legend-item"><svg class="swatch tone-${tone}" viewBox="0 0 ${width} 12" width="${width}" height="12" aria-hidden="true">${MARKS[mark]}</svg>${label}</span>`;
}

/** A name that fits where SVG text cannot wrap; the whole name stands in the tip and in the tables. */
export function shorten(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, most - 1).join('')}…`;
}

/** A sentence list for descriptions: `a; b; c.` */
export function sentence(parts: readonly string[]): string {
  return parts.length === 0 ? '' : `${parts.join('; ')}.`;
}
