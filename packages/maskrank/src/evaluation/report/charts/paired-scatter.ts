// One dot a case: value before on x, after on y, with the line where nothing changed. Above the line is better.
// A third of the cases often carries the whole mean gain; a mean alone cannot show that.

import { count, percent } from '../format.ts';
import { coordinate as c, type Html, html } from '../html.ts';
import { emptyFigure, figure, xAxis, yAxis } from './figure.ts';
import { extent, linearScale } from './scale.ts';

export type PairedPoint = { readonly label: string; readonly before: number; readonly after: number };

export type PairedScatterOptions = {
  readonly id: string;
  readonly title: string;
  readonly note?: string | undefined;
  /** Axis names with unit. */
  readonly beforeLabel: string;
  readonly afterLabel: string;
  /** One entry a case; pairs with a non-finite value are left out and counted. */
  readonly pairs: readonly PairedPoint[];
  /** Changes up to this size count as unchanged (same unit as the values). */
  readonly unchangedWithin: number;
  /** Ends of both axes; follows the data where not given. */
  readonly domain?: readonly [number | undefined, number | undefined];
  readonly format: (value: number) => string;
  readonly formatChange: (value: number) => string;
  readonly size?: number;
};

export type PairedCounts = { readonly better: number; readonly worse: number; readonly unchanged: number };

export function pairedScatter(options: PairedScatterOptions): Html {
  const {
    id,
    title,
    beforeLabel,
    afterLabel,
    unchangedWithin,
    domain,
    format,
    formatChange,
    size = 480,
  } = options;
  const pairs = options.pairs.filter(
    ({ before, after }) => Number.isFinite(before) && Number.isFinite(after),
  );
  const span = extent(pairs.flatMap(({ before, after }) => [before, after]));
  if (span === undefined) return emptyFigure(title, 'No case has both values.');

  const height = size - 80;
  const plot = { left: 58, top: 12, right: size - 14, bottom: height - 44 };
  const ends = [domain?.[0] ?? span[0], domain?.[1] ?? span[1]] as const;
  const x = linearScale({ domain: ends, range: [plot.left, plot.right], ticks: 6, nice: true });
  const y = linearScale({ domain: ends, range: [plot.bottom, plot.top], ticks: 6, nice: true });
  const [low, high] = x.domain;
  const counts = pairedCounts(pairs, unchangedWithin);
  const share = (n: number) => `${count(n)} (${percent(n / pairs.length, 0)} %)`;
  const left = options.pairs.length - pairs.length;
  const notes = [options.note, left > 0 ? `${count(left)} without both values left out.` : undefined].filter(
    (text) => text !== undefined,
  );

  const dots = pairs.map((pair) => {
    const change = pair.after - pair.before;
    const kind = change > unchangedWithin ? 'better' : change < -unchangedWithin ? 'worse' : 'unchanged';
    const tip = `${pair.label}\n${format(pair.before)} → ${format(pair.after)} (${formatChange(change)})`;
    return html`<circle class="pair ${kind}" cx="${c(x.at(pair.before))}" cy="${c(y.at(pair.after))}" r="${kind === 'unchanged' ? 2.6 : 3.6}" data-tip="${tip}"/>`;
  });

  return figure({
    id,
    title,
    note: notes.length > 0 ? notes.join(' ') : undefined,
    description: `Of ${count(pairs.length)} cases ${share(counts.better)} are better, ${share(counts.worse)} worse, ${share(counts.unchanged)} unchanged.`,
    legend: [
      { label: `better ${share(counts.better)}`, tone: 'stage2', mark: 'dot' },
      { label: `worse ${share(counts.worse)}`, tone: 'stage1', mark: 'ring' },
      { label: `unchanged ${share(counts.unchanged)}`, tone: 'control', mark: 'dot' },
    ],
    width: size,
    height,
    body: html`<path class="better-half" d="M${c(x.at(low))} ${c(y.at(low))}L${c(x.at(high))} ${c(y.at(high))}L${c(x.at(low))} ${c(y.at(high))}Z"/>${xAxis(plot, x, beforeLabel, format)}${yAxis(plot, y, afterLabel, format)}<line class="identity" x1="${c(x.at(low))}" y1="${c(y.at(low))}" x2="${c(x.at(high))}" y2="${c(y.at(high))}"/>${dots}`,
  });
}

/** How many pairs rose, fell or stayed within the tolerance. */
export function pairedCounts(pairs: readonly PairedPoint[], unchangedWithin: number): PairedCounts {
  let better = 0;
  let worse = 0;
  for (const { before, after } of pairs) {
    if (after - before > unchangedWithin) better++;
    else if (after - before < -unchangedWithin) worse++;
  }
  return { better, worse, unchanged: pairs.length - better - worse };
}
