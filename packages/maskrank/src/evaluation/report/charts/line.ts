// Line chart for training curves. Long curves are drawn as the mean of equal stretches of the x axis with the range
// from lowest to highest value behind it, so neither noise nor a spike is hidden. Pure: same input, same markup.

import { compact, plural } from '../format.ts';
import { coordinate as c, type Html, html } from '../html.ts';
import {
  emptyFigure,
  figure,
  type LegendEntry,
  pathData,
  sentence,
  type Tone,
  xAxis,
  yAxis,
} from './figure.ts';
import { extent, linearScale, type Scale } from './scale.ts';

export type LinePoint = { readonly x: number; readonly y: number };

export type LineSeries = {
  readonly name: string;
  readonly tone: Tone;
  /** Points in any order; non-finite ones are left out and counted in the note. */
  readonly points: readonly LinePoint[];
  readonly dash?: 'dashed' | 'dotted';
  /** The value holds until the next point (a schedule): drawn in steps, and never averaged. */
  readonly stepped?: boolean;
};

export type LineChartOptions = {
  readonly id: string;
  readonly title: string;
  readonly note?: string | undefined;
  /** Axis names with their unit: `step`, `Dice (%)`. */
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly LineSeries[];
  /** Ends of the y axis that are not to follow the data; `undefined` follows it. */
  readonly yDomain?: readonly [number | undefined, number | undefined];
  /** Horizontal lines with a meaning: a threshold, ln 2. */
  readonly references?: readonly { readonly y: number; readonly label: string }[];
  /** Vertical lines: a refresh of the proposals, an alarm. */
  readonly events?: readonly { readonly x: number; readonly label: string; readonly alarm?: boolean }[];
  readonly xFormat?: (value: number) => string;
  readonly yFormat?: (value: number) => string;
  readonly width?: number;
  readonly height?: number;
};

type Bucket = { readonly x: number; readonly mean: number; readonly low: number; readonly high: number };

const MOST_POINTS = 160; // beyond this a curve is drawn in stretches
const MOST_TIPS = 48; // columns that answer to the pointer

export function lineChart(options: LineChartOptions): Html {
  const {
    id,
    title,
    xLabel,
    yLabel,
    references = [],
    events = [],
    yDomain = [undefined, undefined],
  } = options;
  const { xFormat = (value) => compact(value), yFormat = (value) => compact(value, 3) } = options;
  const { width = 360, height = 232 } = options;
  const curves = options.series.map((series) => ({ series, points: finite(series.points) }));
  const xs = extent(curves.flatMap(({ points }) => points.map((point) => point.x)));
  const ys = extent([
    ...curves.flatMap(({ points }) => points.map((point) => point.y)),
    ...references.map((reference) => reference.y),
  ]);
  if (xs === undefined || ys === undefined) return emptyFigure(title, 'Not recorded in this run.');

  const plot = { left: 64, top: 12, right: width - 14, bottom: height - 44 };
  const x = linearScale({ domain: xs, range: [plot.left, plot.right], ticks: 6 });
  const y = linearScale({
    domain: [yDomain[0] ?? ys[0], yDomain[1] ?? ys[1]],
    range: [plot.bottom, plot.top],
    nice: true,
  });
  const drawn = curves
    .filter(({ points }) => points.length > 0)
    .map(({ series, points }) => ({
      series,
      points,
      buckets: series.stepped === true ? corners(points) : stretches(points, xs),
    }));
  const left = options.series.reduce((sum, series) => sum + series.points.length, 0) - count(curves);
  const bundled = drawn.some(
    ({ series, points, buckets }) => series.stepped !== true && buckets.length < points.length,
  );
  const notes = [
    options.note,
    bundled ? 'Line: mean of neighbouring steps; shade: lowest to highest.' : undefined,
    left > 0
      ? `${plural(left, 'value')} that ${left === 1 ? 'was not finite is' : 'were not finite are'} left out.`
      : undefined,
  ].filter((note) => note !== undefined);

  const body = html`${xAxis(plot, x, xLabel, xFormat, false)}${yAxis(plot, y, yLabel, yFormat)}${events.map(
    (event) => eventLine(event, x, plot.top, plot.bottom),
  )}${references.map(({ y: value }) => {
    const at = c(y.at(value));
    return html`<line class="reference" x1="${c(plot.left)}" y1="${at}" x2="${c(plot.right)}" y2="${at}"/>`;
  })}${drawn.map(({ series, buckets }) => curve(series, buckets, x, y))}${tips(drawn, x, plot, xLabel, xFormat, yFormat)}`;

  return figure({
    id,
    title,
    note: notes.length > 0 ? notes.join(' ') : undefined,
    description: sentence(
      drawn.map(({ series, points }) => describe(series.name, points, xLabel, xFormat, yFormat)),
    ),
    legend: legendOf(drawn, references, events),
    width,
    height,
    body,
  });
}

function legendOf(
  drawn: readonly Drawn[],
  references: NonNullable<LineChartOptions['references']>,
  events: NonNullable<LineChartOptions['events']>,
): LegendEntry[] {
  const marks = [...new Map(events.map((event) => [event.label, event])).values()];
  const entries: LegendEntry[] = [
    ...drawn.map(({ series }) => ({
      label: series.name,
      tone: series.tone,
      mark: series.dash ?? ('line' as const),
    })),
    ...references.map(({ label }) => ({ label, tone: 'control' as const, mark: 'reference' as const })),
    ...marks.map(({ label, alarm }) => ({
      label,
      tone: 'control' as const,
      mark: alarm === true ? ('alarm' as const) : ('event' as const),
    })),
  ];
  return entries.length > 1 ? entries : [];
}

function finite(points: readonly LinePoint[]): LinePoint[] {
  return points
    .filter((point) => Number.isFinite(point.x) && Number.isFinite(point.y))
    .sort((a, b) => a.x - b.x);
}

function count(curves: readonly { readonly points: readonly LinePoint[] }[]): number {
  return curves.reduce((sum, { points }) => sum + points.length, 0);
}

function stretches(points: readonly LinePoint[], [first, last]: readonly [number, number]): Bucket[] {
  if (points.length <= MOST_POINTS || last <= first) {
    return points.map(({ x, y }) => flat(x, y));
  }
  const bins: LinePoint[][] = Array.from({ length: MOST_POINTS }, () => []);
  for (const point of points) {
    bins[Math.min(MOST_POINTS - 1, Math.floor(((point.x - first) / (last - first)) * MOST_POINTS))]!.push(
      point,
    );
  }
  return bins
    .filter((bin) => bin.length > 0)
    .map((bin) => {
      const [low, high] = extent(bin.map((point) => point.y))!;
      return { x: average(bin.map((p) => p.x)), mean: average(bin.map((p) => p.y)), low, high };
    });
}

// Where a stepped curve turns: each value up to the point where the next one begins.
function corners(points: readonly LinePoint[]): Bucket[] {
  return points.flatMap(({ x, y }, i) => {
    const before = points[i - 1];
    if (before !== undefined && before.y === y && i < points.length - 1) return [];
    const held = before !== undefined && before.y !== y ? [flat(x, before.y)] : [];
    return [...held, flat(x, y)];
  });
}

const flat = (x: number, y: number): Bucket => ({ x, mean: y, low: y, high: y });

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function curve(series: LineSeries, buckets: readonly Bucket[], x: Scale, y: Scale): Html {
  const line = pathData(buckets.map((bucket) => [x.at(bucket.x), y.at(bucket.mean)]));
  const banded = buckets.some((bucket) => bucket.low < bucket.high);
  const band =
    banded &&
    `${pathData([
      ...buckets.map((bucket) => [x.at(bucket.x), y.at(bucket.high)] as const),
      ...buckets.toReversed().map((bucket) => [x.at(bucket.x), y.at(bucket.low)] as const),
    ])}Z`;
  const only = buckets.length === 1 ? buckets[0]! : undefined;
  return html`<g class="tone-${series.tone}">${band && html`<path class="band" d="${band}"/>`}<path class="${['stroke', series.dash].filter(Boolean).join(' ')}" d="${line}"/>${
    only && html`<circle class="fill" cx="${c(x.at(only.x))}" cy="${c(y.at(only.mean))}" r="3.5"/>`
  }</g>`;
}

function eventLine(
  event: { readonly x: number; readonly label: string; readonly alarm?: boolean },
  x: Scale,
  top: number,
  bottom: number,
): Html | false {
  if (!Number.isFinite(event.x) || event.x < x.domain[0] || event.x > x.domain[1]) return false;
  const at = c(x.at(event.x));
  return html`<line class="${event.alarm === true ? 'event alarm' : 'event'}" x1="${at}" y1="${c(top)}" x2="${at}" y2="${c(bottom)}"/>`;
}

type Drawn = {
  readonly series: LineSeries;
  readonly points: readonly LinePoint[];
  readonly buckets: readonly Bucket[];
};

// Columns over the plot; each tells the values of all curves at the nearest recorded x.
function tips(
  drawn: readonly Drawn[],
  x: Scale,
  plot: { readonly left: number; readonly right: number; readonly top: number; readonly bottom: number },
  xLabel: string,
  xFormat: (value: number) => string,
  yFormat: (value: number) => string,
): Html[] {
  const longest = drawn.reduce(
    (best, item) => (item.buckets.length > best.buckets.length ? item : best),
    drawn[0]!,
  );
  const columns = Math.min(MOST_TIPS, longest.buckets.length);
  const width = (plot.right - plot.left) / Math.max(1, columns);
  return Array.from({ length: columns }, (_, i) => {
    const centre = plot.left + (i + 0.5) * width;
    const nearest = (buckets: readonly Bucket[]): Bucket =>
      buckets.reduce((best, bucket) =>
        Math.abs(x.at(bucket.x) - centre) < Math.abs(x.at(best.x) - centre) ? bucket : best,
      );
    const at = nearest(longest.buckets);
    const lines = drawn.map(({ series, buckets }) => `${series.name}: ${yFormat(nearest(buckets).mean)}`);
    const tip = [`${xLabel} ${xFormat(at.x)}`, ...lines].join('\n');
    return html`<rect class="hit" x="${c(plot.left + i * width)}" y="${c(plot.top)}" width="${c(width)}" height="${c(plot.bottom - plot.top)}" data-tip="${tip}"/>`;
  });
}

function describe(
  name: string,
  points: readonly LinePoint[],
  xLabel: string,
  xFormat: (value: number) => string,
  yFormat: (value: number) => string,
): string {
  const first = points[0]!;
  const last = points[points.length - 1]!;
  return `${name}: ${yFormat(first.y)} at ${xLabel} ${xFormat(first.x)}, ${yFormat(last.y)} at ${xLabel} ${xFormat(last.x)}`;
}
