// The numbers of an experiment as curves: one SVG a data set and figure, complete in itself, and the same as PNG. Points are means over
// seeds with their deviation; the paper's numbers are hollow. Axes and scales are the report's. Not here: the numbers (collect.ts).

import sharp from 'sharp';
import { pathData, shorten, xAxis, yAxis } from '../evaluation/report/charts/figure.ts';
import { extent, linearScale, type Scale } from '../evaluation/report/charts/scale.ts';
import { compact } from '../evaluation/report/format.ts';
import { coordinate as c, type Html, html, trusted } from '../evaluation/report/html.ts';
import type { Results } from './collect.ts';
import type { FigureDefinition } from './definition.ts';
import { type Row, shareOf } from './rows.ts';
import { metricTitle } from './tables.ts';

export type FigureFile = {
  /** `NAME-DATA`, without an ending. */
  readonly name: string;
  readonly svg: string;
};

type Point = { readonly x: number; readonly y: number; readonly sd: number };

type Series = {
  readonly title: string;
  readonly points: readonly Point[];
  readonly paper: readonly { readonly x: number; readonly y: number }[];
};

/** Okabe and Ito's colours for colour-blind readers, darkened where they are pale; marks repeat them. */
const COLOURS = ['#0072b2', '#cc5500', '#00805c', '#b04080', '#17202a', '#8a6d00', '#3a8fc0', '#75808b'];
const STYLE = trusted(`<style>
text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#3d4956}
.title{font-size:14px;font-weight:600;fill:#17202a}.grid{stroke:#dce2e8}.axis{stroke:#b6c0ca}.tick{fill:#5d6975}
.curve{fill:none;stroke-width:2}.sd{stroke-width:1.3;fill:none}.paper{stroke-width:1.3;stroke-dasharray:2 3;fill:none}
</style>`);

const WIDTH = 640;
const HEIGHT = 400;
const LEGEND_ROW = 18;

/** Every figure of the definition on every data set that has its numbers. */
export function drawFigures(all: Results): FigureFile[] {
  return all.definition.figures.flatMap((definition) =>
    all.data.flatMap(({ name }) => {
      const series = seriesOf(all, definition, name).filter(({ points }) => points.length > 0);
      if (series.length === 0) return [];
      return [{ name: `${definition.name}-${name}`, svg: draw(definition, name, series) }];
    }),
  );
}

/** 144 dots an inch: sharp on paper. */
export const toPng = (svg: string): Promise<Buffer> =>
  sharp(Buffer.from(svg), { density: 144 }).png().toBuffer();

function seriesOf({ rows, results, costs }: Results, figure: FigureDefinition, data: string): Series[] {
  const xOf = (row: Row): number | undefined =>
    ({
      share: 100 * shareOf(row),
      variant: row.variant?.x,
      minutes: costs.find((cost) => cost.row === row.id && cost.data === data)?.minutes,
    })[figure.x];
  // Variants on a curve of their own, unless they are what the x axis shows.
  const curveOf = ({ armTitle, variant, stageKey, method }: Row): string =>
    [
      armTitle,
      figure.x === 'variant' ? undefined : variant?.title,
      stageKey === method.stageKey ? undefined : stageKey,
    ]
      .filter((word) => word !== undefined)
      .join(', ');
  return [...new Set(rows.map(curveOf))].map((title) => {
    const points = rows
      .filter((row) => curveOf(row) === title)
      .flatMap((row) => {
        const result = results.find((r) => r.row === row.id && r.data === data && r.metric === figure.metric);
        const x = xOf(row);
        return result === undefined || x === undefined ? [] : [{ x, result }];
      })
      .sort((a, b) => a.x - b.x);
    return {
      title,
      points: points.map(({ x, result }) => ({ x, y: 100 * result.mean, sd: 100 * (result.sd ?? 0) })),
      // Minutes of the paper's annotators are not known.
      paper:
        figure.x === 'minutes'
          ? []
          : points.flatMap(({ x, result }) =>
              result.paper === undefined ? [] : [{ x, y: 100 * result.paper.value }],
            ),
    };
  });
}

function draw({ title, xTitle, metric }: FigureDefinition, data: string, series: readonly Series[]): string {
  const hasPaper = series.some(({ paper }) => paper.length > 0);
  const legend = [...series.map((item) => item.title), ...(hasPaper ? ['hollow: the paper'] : [])];
  const height = HEIGHT + Math.ceil(legend.length / 2) * LEGEND_ROW;
  const plot = { left: 64, top: 40, right: WIDTH - 20, bottom: HEIGHT - 50 };
  const xs = extent(series.flatMap(({ points }) => points.map(({ x }) => x)))!;
  const ys = extent(
    series.flatMap(({ points, paper }) => [
      ...points.flatMap(({ y, sd }) => [y - sd, y + sd]),
      ...paper.map(({ y }) => y),
    ]),
  )!;
  const x = linearScale({ domain: xs, range: [plot.left + 12, plot.right - 12], ticks: 6 });
  const y = linearScale({ domain: ys, range: [plot.bottom, plot.top], nice: true });
  const body = html`${STYLE}<rect width="${WIDTH}" height="${height}" fill="#fff"/><text class="title" x="${c(plot.left)}" y="22">${shorten(`${title}: ${data}`, 72)}</text>${xAxis(plot, x, xTitle, (value) => compact(value))}${yAxis(plot, y, `${metricTitle(metric)} (%)`, (value) => compact(value))}${series.map((item, i) => curve(item, i, x, y))}${legend.map((text, i) => legendItem(text, i, i < series.length))}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">${body.markup}</svg>\n`;
}

const colourOf = (i: number): string => COLOURS[i % COLOURS.length]!;

function curve({ points, paper }: Series, i: number, x: Scale, y: Scale): Html {
  const colour = colourOf(i);
  const place = ({ x: px, y: py }: { x: number; y: number }) => [x.at(px), y.at(py)] as const;
  const bars = points
    .filter(({ sd }) => sd > 0)
    .map(({ x: px, y: py, sd }) => {
      const [at, low, high] = [c(x.at(px)), c(y.at(py - sd)), c(y.at(py + sd))];
      return html`<path class="sd" stroke="${colour}" d="M${at} ${low}V${high}M${c(x.at(px) - 4)} ${low}h8M${c(x.at(px) - 4)} ${high}h8"/>`;
    });
  return html`<path class="curve" stroke="${colour}" d="${pathData(points.map(place))}"/>${bars}${points.map((point) => mark(place(point), i, colour, colour))}${
    paper.length > 0 &&
    html`<path class="paper" stroke="${colour}" d="${pathData(paper.map(place))}"/>${paper.map((point) => mark(place(point), i, colour, '#fff'))}`
  }`;
}

/** Circle, square, triangle, diamond: by the order of the curves. */
function mark([x, y]: readonly [number, number], i: number, stroke: string, fill: string): Html {
  const shapes = [
    () => html`<circle cx="${c(x)}" cy="${c(y)}" r="4.2" stroke="${stroke}" fill="${fill}"/>`,
    () =>
      html`<rect x="${c(x - 4)}" y="${c(y - 4)}" width="8" height="8" stroke="${stroke}" fill="${fill}"/>`,
    () => html`<path d="M${c(x)} ${c(y - 5)}l5 9h-10z" stroke="${stroke}" fill="${fill}"/>`,
    () =>
      html`<path d="M${c(x)} ${c(y - 5.5)}l5.5 5.5l-5.5 5.5l-5.5 -5.5z" stroke="${stroke}" fill="${fill}"/>`,
  ];
  return shapes[i % shapes.length]!();
}

function legendItem(text: string, i: number, isCurve: boolean): Html {
  const x = 64 + (i % 2) * 280;
  const y = HEIGHT + Math.floor(i / 2) * LEGEND_ROW;
  return html`${isCurve && mark([x, y - 4], i, colourOf(i), colourOf(i))}<text x="${c(x + (isCurve ? 12 : -4))}" y="${c(y)}">${shorten(text, 40)}</text>`;
}
