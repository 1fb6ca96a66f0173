// The rows of an evaluation as a table for the terminal.

import type { Evaluation } from '../evaluation/schema.ts';
import { textTable } from './table.ts';

/** A share as per cent with one decimal; a dash where there is none. */
export const percent = (value: number | null | undefined): string =>
  value === null || value === undefined ? '–' : (100 * value).toFixed(1);

/** Mean over images of all classes, a line a row. */
export function evaluationTable({ stages, summary, tolerances }: Evaluation): string {
  const tolerance = tolerances[Math.min(1, tolerances.length - 1)]?.key;
  const rows = stages.map(({ key, title }) => {
    const { perImage = {}, pooled = {} } = summary[key]?.all ?? {};
    const { dice, iou, hd95Px } = perImage;
    const surface = perImage[`surfaceDice@${tolerance}`];
    return [
      title,
      percent(dice?.mean),
      percent(dice?.sd),
      percent(pooled.dice?.value),
      percent(iou?.mean),
      percent(surface?.mean),
      hd95Px?.mean?.toFixed(1) ?? '–',
      dice?.n ?? 0,
    ];
  });
  return textTable([
    ['stage', 'Dice %', 'sd', 'pooled', 'IoU %', `surface Dice @${tolerance} %`, 'HD95 px', 'n'],
    ...rows,
  ]);
}
