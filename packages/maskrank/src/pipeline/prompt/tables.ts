// What `maskrank prompt` prints: rows of text tables, the first the heading.

import type { ClassCounts } from './counts.ts';
import type { QualityReport } from './finish.ts';
import type { QualitySummary } from './quality.ts';

type Rows = readonly (readonly (string | number)[])[];

const percent = (value: number | null): string => (value === null ? '–' : (100 * value).toFixed(1));

export const countTable = (counts: readonly ClassCounts[]): Rows => [
  ['class', 'prompts', 'found', 'whole image', 'peak', 'none', 'boxes', 'points', 'sensitivity', 'answers'],
  ...counts.map(({ name, prompts, found, fallbacks, boxes, points, sensitivity, answers }) => [
    name,
    prompts,
    found,
    fallbacks['whole-image'],
    fallbacks.peak,
    fallbacks.none,
    boxes.toFixed(2),
    points.toFixed(2),
    sensitivity === null ? '–' : sensitivity.toFixed(2),
    answers,
  ]),
];

const COLUMNS: readonly (readonly [keyof QualitySummary, string])[] = [
  ['boxIou', 'box IoU %'],
  ['boxIou50', 'IoU >= 0.5 %'],
  ['boxHit', 'box hits %'],
  ['pointHit', 'point hits %'],
  ['pointPrecision', 'points inside %'],
];

export const qualityTable = ({ rows }: QualityReport): Rows => [
  ['split', 'class', 'prompts', 'n', ...COLUMNS.map(([, title]) => title)],
  ...rows.flatMap(({ split, name, prompts }) =>
    Object.entries(prompts).map(([kind, summary]) => [
      split,
      name,
      kind,
      summary.cases,
      ...COLUMNS.map(([key]) => percent(summary[key])),
    ]),
  ),
];
