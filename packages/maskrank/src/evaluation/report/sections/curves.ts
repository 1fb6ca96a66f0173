// Learning curves of both stages: loss parts, validation Dice, reward, share of cases with a signal, learning rate.

import { type LineChartOptions, type LineSeries, lineChart } from '../charts/line.ts';
import { compact, decimal } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { MetricsLine } from '../input.ts';
import type { ReportContext, Section } from './section.ts';

type Stage = MetricsLine['stage'];
type Chart = Omit<LineChartOptions, 'id' | 'xLabel'>;

/** From here on the sigmoid of Eq. (5) passes less than 1 % of the gradient. */
const SATURATED_REWARD = 5;

export function curvesSection({ input }: ReportContext): Section {
  const lines = (input.metrics ?? []).toSorted((a, b) => a.step - b.step);
  return {
    id: 'curves',
    nav: 'Learning curves',
    title: 'Learning curves',
    body: html`${stageCurves(lines, 'stage1', 'Stage 1: fine-tuning on the labelled cases')}${stageCurves(lines, 'stage2', 'Stage 2: alignment to the rankings')}`,
  };
}

function stageCurves(all: readonly MetricsLine[], stage: Stage, title: string): Html {
  const lines = all.filter((line) => line.stage === stage);
  const charts =
    lines.length === 0 ? [] : CHARTS[stage].map((make) => make(lines)).filter((chart) => chart !== undefined);
  return html`<h3>${title}</h3>${
    charts.length === 0
      ? html`<p class="missing">No training metrics of this stage in the run.</p>`
      : html`<div class="charts small">${charts.map((chart, i) => lineChart({ ...chart, id: `${stage}-curve-${i}`, xLabel: 'step' }))}</div>`
  }`;
}

type Maker = (lines: readonly MetricsLine[]) => Chart | undefined;

const CHARTS: Readonly<Record<Stage, readonly Maker[]>> = {
  stage1: [losses('stage1'), validation('stage1'), learningRate('stage1')],
  stage2: [losses('stage2'), reward, active, validation('stage2'), learningRate('stage2')],
};

function losses(stage: Stage): Maker {
  return (lines) => {
    const names = [...new Set(lines.flatMap((line) => Object.keys(line.losses ?? {})))].toSorted(totalFirst);
    if (names.length === 0) return undefined;
    const tones = [stage, 'series-b', 'series-c', 'series-d', 'control'] as const;
    const dashes = [undefined, 'dashed', 'dotted', 'dashed', 'dotted'] as const;
    const series = names.map((name, i): LineSeries => {
      const dash = dashes[i % dashes.length];
      return {
        name,
        tone: tones[i % tones.length]!,
        points: pick(lines, (line) => line.losses?.[name]),
        ...(dash !== undefined && { dash }),
      };
    });
    return {
      title: 'Loss',
      yLabel: 'loss',
      series,
      yDomain: [0, undefined],
      ...(stage === 'stage2' && {
        references: [{ y: Math.LN2, label: 'ln 2, no preference yet' }],
        events: events(lines),
      }),
    };
  };
}

function reward(lines: readonly MetricsLine[]): Chart | undefined {
  const mean = pick(lines, (line) => line.rewardMean);
  const margin = pick(lines, (line) => line.rewardMargin);
  if (mean.length + margin.length === 0) return undefined;
  return {
    title: 'Reward R',
    note: 'Falls back at each refresh; a curve that stays high has saturated.',
    yLabel: 'R',
    series: [
      { name: 'mean R', tone: 'stage2', points: mean },
      { name: 'margin best less worst', tone: 'series-b', points: margin, dash: 'dashed' },
    ],
    references: [{ y: SATURATED_REWARD, label: 'saturated above 5' }],
    events: events(lines),
    yDomain: [Math.min(0, ...[...mean, ...margin].map((point) => point.y)), undefined],
  };
}

function active(lines: readonly MetricsLine[]): Chart | undefined {
  const points = pick(lines, (line) => line.activeShare).map(({ x, y }) => ({ x, y: y * 100 }));
  if (points.length === 0) return undefined;
  return {
    title: 'Cases with a preference signal',
    yLabel: 'share of cases (%)',
    series: [{ name: 'active cases', tone: 'stage2', points }],
    yDomain: [0, 100],
    events: events(lines),
    yFormat: (value) => compact(value, 3),
  };
}

function validation(stage: Stage): Maker {
  return (lines) => {
    const points = pick(lines, (line) => line.validationDice).map(({ x, y }) => ({ x, y: y * 100 }));
    if (points.length === 0) return undefined;
    return {
      title: 'Validation Dice',
      yLabel: 'Dice (%)',
      series: [{ name: 'validation Dice', tone: stage, points }],
      yFormat: (value) => decimal(value, Number.isInteger(value) ? 0 : 1),
      ...(stage === 'stage2' && { events: events(lines) }),
    };
  };
}

function learningRate(stage: Stage): Maker {
  return (lines) => {
    const points = pick(lines, (line) => line.learningRate);
    if (points.length === 0) return undefined;
    return {
      title: 'Learning rate',
      yLabel: 'learning rate',
      series: [{ name: 'learning rate', tone: stage, points, stepped: true }],
      yDomain: [0, undefined],
      yFormat: (value) => compact(value, 2),
    };
  };
}

function pick(lines: readonly MetricsLine[], value: (line: MetricsLine) => number | null | undefined) {
  return lines.flatMap((line) => {
    const y = value(line);
    if (y === undefined) return [];
    return [{ x: line.step, y: y ?? Number.NaN }]; // metrics.jsonl has null where a value was not finite
  });
}

function events(lines: readonly MetricsLine[]) {
  return lines.flatMap((line) => [
    ...(line.refreshed === true ? [{ x: line.step, label: 'refresh' }] : []),
    ...(line.alarm === true ? [{ x: line.step, label: 'alarm', alarm: true }] : []),
  ]);
}

function totalFirst(a: string, b: string): number {
  return Number(b === 'total') - Number(a === 'total') || (a < b ? -1 : a > b ? 1 : 0);
}
