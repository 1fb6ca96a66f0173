// Horizontal box plots after Tukey: box from first to third quartile, line at the median, whiskers to the last value
// within 1.5 interquartile ranges, diamond at the mean; every case is a dot while there is room for it.
// Quartiles interpolate linearly between order statistics (Hyndman & Fan 1996, type 7).

import { count, plural } from '../format.ts';
import { coordinate as c, type Html, html } from '../html.ts';
import { emptyFigure, figure, sentence, shorten, type Tone, xAxis } from './figure.ts';
import { drawable, extent, linearScale, type Scale } from './scale.ts';

export type BoxValue = { readonly value: number; readonly label: string };

export type BoxGroup = {
  readonly name: string;
  readonly tone: Tone;
  /** One entry a case; non-finite values are left out and counted. */
  readonly values: readonly BoxValue[];
};

export type BoxPlotOptions = {
  readonly id: string;
  readonly title: string;
  readonly note?: string | undefined;
  /** Name of the value axis with its unit. */
  readonly label: string;
  readonly groups: readonly BoxGroup[];
  /** Ends of the axis; follows the data where not given. */
  readonly domain?: readonly [number | undefined, number | undefined];
  /** Writes a value for axis, tips and description. */
  readonly format: (value: number) => string;
  readonly width?: number;
};

export type BoxStatistics = {
  readonly n: number;
  readonly mean: number;
  readonly quartiles: readonly [number, number, number];
  readonly whiskers: readonly [number, number];
};

const ROW = 62;
const MOST_DOTS = 400; // beyond this only the values outside the whiskers are drawn

export function boxPlot({
  id,
  title,
  note,
  label,
  groups,
  domain,
  format,
  width = 480,
}: BoxPlotOptions): Html {
  const rows = groups
    .map((group) => ({ group, values: group.values.filter((entry) => Number.isFinite(entry.value)) }))
    .filter(({ values }) => values.length > 0)
    .map((row) => ({ ...row, box: boxStatistics(row.values.map((entry) => drawable(entry.value))) }));
  const span = extent(rows.flatMap(({ values }) => values.map((entry) => entry.value)));
  if (span === undefined) return emptyFigure(title, 'No values to show.');

  const height = rows.length * ROW + 60;
  const plot = { left: 16, top: 8, right: width - 16, bottom: height - 44 };
  const x = linearScale({
    domain: [domain?.[0] ?? span[0], domain?.[1] ?? span[1]],
    range: [plot.left, plot.right],
    ticks: 6,
    nice: true,
  });
  const left =
    groups.reduce((sum, group) => sum + group.values.length, 0) - rows.reduce((n, row) => n + row.box.n, 0);
  const hidden = rows.some(({ values }) => values.length > MOST_DOTS);
  const notes = [
    note,
    hidden ? 'Dots: cases outside the whiskers.' : undefined,
    left > 0 ? `${plural(left, 'value')} missing or infinite, not drawn.` : undefined,
  ].filter((text) => text !== undefined);
  return figure({
    id,
    title,
    note: notes.length > 0 ? notes.join(' ') : undefined,
    description: sentence(rows.map(({ group, box }) => describe(group.name, box, format))),
    width,
    height,
    body: html`${xAxis(plot, x, label, format)}${rows.map((row, i) => drawRow(row, plot.top + i * ROW, x, format))}`,
  });
}

/** The numbers of one box. `values` must be finite and not empty. */
export function boxStatistics(values: readonly number[]): BoxStatistics {
  const sorted = values.toSorted((a, b) => a - b);
  const quartiles = [quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)] as const;
  const reach = 1.5 * (quartiles[2] - quartiles[0]);
  const inside = sorted.filter((value) => value >= quartiles[0] - reach && value <= quartiles[2] + reach);
  return {
    n: sorted.length,
    mean: sorted.reduce((sum, value) => sum + value, 0) / sorted.length,
    quartiles,
    // Interpolated quartiles may lie beyond the outermost value inside the fence; the whisker never runs into the box.
    whiskers: [Math.min(inside[0]!, quartiles[0]), Math.max(inside[inside.length - 1]!, quartiles[2])],
  };
}

function quantile(sorted: readonly number[], q: number): number {
  const position = (sorted.length - 1) * q;
  const below = Math.floor(position);
  const low = sorted[below]!;
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!;
  return low + (high - low) * (position - below);
}

type Row = { readonly group: BoxGroup; readonly values: readonly BoxValue[]; readonly box: BoxStatistics };

function drawRow(
  { group, values, box }: Row,
  top: number,
  x: Scale,
  format: (value: number) => string,
): Html {
  const middle = top + 38;
  const [q1, median, q3] = box.quartiles.map((value) => x.at(value)) as [number, number, number];
  const [low, high] = box.whiskers.map((value) => x.at(value)) as [number, number];
  const mean = x.at(box.mean);
  const outside = (value: number) => value < box.whiskers[0] || value > box.whiskers[1];
  const dots = values
    .map((entry, i) => ({ entry, shift: spread(i) }))
    .filter(({ entry }) => values.length <= MOST_DOTS || outside(entry.value));
  const tip = `${group.name}\n${describe('', box, format)}`;
  return html`<g class="tone-${group.tone}"><text class="row-label" x="16" y="${c(top + 16)}">${shorten(group.name, 34)}</text><text class="tick" x="${c(x.range[1])}" y="${c(top + 16)}" text-anchor="end">median ${format(box.quartiles[1])} · n ${count(box.n)}</text>${dots.map(
    ({ entry, shift }) =>
      html`<circle class="case-dot" cx="${c(x.at(entry.value))}" cy="${c(middle + shift * 13)}" r="2.4" data-tip="${`${entry.label}\n${format(entry.value)}`}"/>`,
  )}<line class="whisker" x1="${c(low)}" y1="${c(middle)}" x2="${c(q1)}" y2="${c(middle)}"/><line class="whisker" x1="${c(q3)}" y1="${c(middle)}" x2="${c(high)}" y2="${c(middle)}"/><line class="whisker" x1="${c(low)}" y1="${c(middle - 6)}" x2="${c(low)}" y2="${c(middle + 6)}"/><line class="whisker" x1="${c(high)}" y1="${c(middle - 6)}" x2="${c(high)}" y2="${c(middle + 6)}"/><rect class="box" x="${c(q1)}" y="${c(middle - 13)}" width="${c(Math.max(q3 - q1, 0.5))}" height="26" rx="2" data-tip="${tip}"/><line class="median" x1="${c(median)}" y1="${c(middle - 13)}" x2="${c(median)}" y2="${c(middle + 13)}"/><path class="mean" d="M${c(mean)} ${c(middle - 5)}l5 5l-5 5l-5 -5z"/></g>`;
}

// Golden-ratio sequence in -1..1: neighbours in the list never share a height, and the picture is the same every time.
function spread(index: number): number {
  return (((index + 1) * 0.6180339887498949) % 1) * 2 - 1;
}

function describe(name: string, box: BoxStatistics, format: (value: number) => string): string {
  const [q1, median, q3] = box.quartiles;
  const text = `median ${format(median)}, quartiles ${format(q1)} to ${format(q3)}, mean ${format(box.mean)}, n ${count(box.n)}`;
  return name === '' ? text : `${name}: ${text}`;
}
