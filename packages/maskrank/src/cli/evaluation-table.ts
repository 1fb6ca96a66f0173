// The rows of an evaluation as a table for the terminal.

import type { Evaluation } from '../evaluation/schema.ts';
import { textTable } from './table.ts';

/** A share as per cent with one decimal; a dash where there is none. */
export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : (100 * value).toFixed(1);

/** Mean over images of all classes, a line a row; below it the same over volumes, where images are slices. */
export function evaluationTable(evaluation: Evaluation): string {
  const images = table(evaluation, evaluation, 'px');
  const { volumes } = evaluation;
  if (volumes === undefined) return images;
  const unit = volumes.tolerances[0]?.unit ?? 'px';
  return `${images}\n\nby volume\n${table(evaluation, volumes, unit)}`;
}

function table(
  { stages }: Evaluation,
  { summary, tolerances }: Pick<Evaluation, 'summary' | 'tolerances'>,
  unit: 'px' | 'mm',
): string {
  const tolerance = tolerances[Math.min(1, tolerances.length - 1)]?.key;
  const distance = unit === 'mm' ? 'hd95Mm' : 'hd95Px';
  const rows = stages.flatMap(({ key, title }) => {
    if (summary[key] === undefined) return [];
    const { perImage = {}, pooled = {} } = summary[key].all ?? {};
    const { dice, iou, [distance]: hd95 } = perImage;
    const surface = perImage[`surfaceDice@${tolerance}`];
    return [
      [
        title,
        percent(dice?.mean),
        percent(dice?.sd),
        percent(pooled.dice?.value),
        percent(iou?.mean),
        percent(surface?.mean),
        hd95?.mean?.toFixed(1) ?? '–',
        dice?.n ?? 0,
      ],
    ];
  });
  return textTable([
    ['stage', 'Dice %', 'sd', 'pooled', 'IoU %', `surface Dice @${tolerance} %`, `HD95 ${unit}`, 'n'],
    ...rows,
  ]);
}

/** What machines are given: everything but the records of single cases, which stand in evaluation.json. */
export function withoutCases({ cases: _, volumes, ...rest }: Evaluation): object {
  if (volumes === undefined) return rest;
  const { cases: __, ...byVolume } = volumes;
  return { ...rest, volumes: byVolume };
}
