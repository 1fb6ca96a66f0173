// Prompts drawn from a mask: a box for each of the largest components, with the noise that a real box has, and points
// inside. Used on labelled images, and for benchmarks with hidden masks (`oracle-box`). Seeded by the caller.

import { boxesOfComponents, clampBox, jitterBySides, jitterByTranslation } from '../imaging/boxes.ts';
import { corePoints } from '../imaging/points.ts';
import type { Box, Mask, Point } from '../imaging/types.ts';
import type { Random } from '../util/random.ts';

export type JitterKind = 'none' | 'translation' | 'sides';

export type FromMaskOptions = {
  /** A box for each of so many components, the largest first. */
  readonly maxBoxes: number;
  readonly boxes: boolean;
  /** Points inside the mask; background points beside them. */
  readonly points: number;
  readonly negativePoints: number;
  /** `sides` moves every side by itself, mostly outwards. */
  readonly jitter: { readonly kind: JitterKind; readonly sigma: number };
};

/** Mean outward shift of a side in units of sigma: with sigma 0.12 the IoU with the tight box is about 0.6. */
const OUTWARD = 0.85;

/** Every side moved by a normal shift (sd `sigma` of the side length) around an outward one. */
export function loosenBox(box: Box, sigma: number, random: Random): Box {
  const dx = OUTWARD * sigma * (box.x1 - box.x0);
  const dy = OUTWARD * sigma * (box.y1 - box.y0);
  const larger = { x0: box.x0 - dx, y0: box.y0 - dy, x1: box.x1 + dx, y1: box.y1 + dy };
  return jitterBySides(larger, random, sigma / (1 + 2 * OUTWARD * sigma));
}

const JITTERS: Readonly<Record<JitterKind, (box: Box, sigma: number, random: Random) => Box>> = {
  none: (box) => box,
  translation: (box, _sigma, random) => jitterByTranslation(box, random),
  sides: loosenBox,
};

function backgroundPoints(mask: Mask, count: number, random: Random): Point[] {
  const points: Point[] = [];
  for (let tries = 0; points.length < count && tries < 100 * count; tries++) {
    const x = random.int(0, mask.width);
    const y = random.int(0, mask.height);
    if (mask.data[y * mask.width + x] === 0) points.push({ x, y, label: 0 });
  }
  return points;
}

/** Boxes and points for a mask; both empty when the mask is. */
export function promptFromMask(
  mask: Mask,
  options: FromMaskOptions,
  random: Random,
): { boxes: Box[]; points: Point[] } {
  const tight = boxesOfComponents(mask, { maxComponents: options.maxBoxes });
  if (tight.length === 0) return { boxes: [], points: [] };
  const jitter = JITTERS[options.jitter.kind];
  const boxes = options.boxes
    ? tight.map((box) => clampBox(jitter(box, options.jitter.sigma, random), mask))
    : [];
  const points = [
    ...(options.points > 0 ? corePoints(mask, options.points, random, 0) : []),
    ...backgroundPoints(mask, options.negativePoints, random),
  ];
  return { boxes, points };
}
