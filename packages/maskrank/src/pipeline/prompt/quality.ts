// How good prompts are where the truth is known, beside two prompts that anybody could give: a box in the middle, half the image's
// side, and the whole image. Computed after prompting from lines and masks; nothing of it goes back.
//
// Of a case whose mask is not empty, with at most `maxRegions` components counted, the largest first:
//   boxIou          boxes are matched one to one with the components' tight boxes so that the sum of IoU is largest; that sum
//                   over the larger number of boxes: a missing box counts 0, and so does one too many
//   boxIou50        share of the cases with boxIou of at least 0.5
//   boxHit          share of the cases in which the centre of some box lies on the mask
//   pointHit        share of the cases with some point of label 1 on the mask; of those that have points
//   pointPrecision  share of the points of label 1 that lie on the mask, mean over the cases that have points
// Not here: which masks may be looked at (job.ts).

import { boxesOfComponents, boxIou } from '../../imaging/boxes.ts';
import type { Box, Mask, Point, Size } from '../../imaging/types.ts';

export type UnitQuality = {
  readonly boxIou: number;
  readonly boxHit: boolean;
  /** Null without points. */
  readonly pointPrecision: number | null;
};

export type QualitySummary = {
  /** Cases in which the class is present. */
  readonly cases: number;
  readonly boxIou: number | null;
  readonly boxIou50: number | null;
  readonly boxHit: number | null;
  readonly pointHit: number | null;
  readonly pointPrecision: number | null;
};

type Guide = { readonly boxes: readonly Box[]; readonly points: readonly Point[] };

/** Prompts that look at nothing. */
export const BASELINES = {
  'centre box': ({ width, height }: Size): Guide => ({
    boxes: [{ x0: width / 4, y0: height / 4, x1: (3 * width) / 4, y1: (3 * height) / 4 }],
    points: [],
  }),
  'whole image': ({ width, height }: Size): Guide => ({
    boxes: [{ x0: 0, y0: 0, x1: width, y1: height }],
    points: [],
  }),
} as const satisfies Record<string, (size: Size) => Guide>;

/** One prompt against one mask; null where the mask is empty. */
export function unitQuality({ boxes, points }: Guide, mask: Mask, maxRegions: number): UnitQuality | null {
  const truth = boxesOfComponents(mask, { maxComponents: maxRegions });
  if (truth.length === 0) return null;
  const inside = points.filter(({ label }) => label === 1);
  return {
    boxIou: matchedIou(boxes, truth) / Math.max(boxes.length, truth.length),
    boxHit: boxes.some(({ x0, y0, x1, y1 }) => isOn(mask, (x0 + x1) / 2, (y0 + y1) / 2)),
    pointPrecision:
      inside.length === 0 ? null : inside.filter(({ x, y }) => isOn(mask, x, y)).length / inside.length,
  };
}

/** Whether the pixel that holds this place is foreground. */
function isOn({ width, height, data }: Mask, x: number, y: number): boolean {
  const column = Math.min(width - 1, Math.max(0, Math.floor(x)));
  const row = Math.min(height - 1, Math.max(0, Math.floor(y)));
  return data[row * width + column] === 1;
}

/** The largest sum of IoU over pairings in which no box stands twice. Exact: all pairings, remembered by the boxes in use. */
export function matchedIou(some: readonly Box[], others: readonly Box[]): number {
  const [rows, columns] = some.length >= others.length ? [some, others] : [others, some];
  // best.get(used): largest sum so far with exactly these columns in use, a bit each.
  let best = new Map<number, number>([[0, 0]]);
  for (const row of rows) {
    const next = new Map(best);
    for (const [used, sum] of best) {
      for (const [c, column] of columns.entries()) {
        if ((used & (1 << c)) !== 0) continue;
        const key = used | (1 << c);
        next.set(key, Math.max(next.get(key) ?? 0, sum + boxIou(row, column)));
      }
    }
    best = next;
  }
  return Math.max(...best.values());
}

/** Means over cases; null where there is none. */
export function summariseQuality(units: readonly UnitQuality[]): QualitySummary {
  const pointed = units.flatMap(({ pointPrecision }) => pointPrecision ?? []);
  return {
    cases: units.length,
    boxIou: mean(units.map(({ boxIou: iou }) => iou)),
    boxIou50: mean(units.map(({ boxIou: iou }) => Number(iou >= 0.5))),
    boxHit: mean(units.map(({ boxHit }) => Number(boxHit))),
    pointHit: mean(pointed.map((share) => Number(share > 0))),
    pointPrecision: mean(pointed),
  };
}

const mean = (values: readonly number[]): number | null =>
  values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length;
