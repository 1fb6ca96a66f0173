// Boxes and points follow an image that `warp` moved: the map from where something was to where it is now. Places outside the
// canvas are cut or dropped. Not here: moving pixels (warp.ts), how much to move (augment.ts).

import { clampBox } from './boxes.ts';
import type { Box, Point, Size } from './types.ts';
import { type Affine, type Displacement, displacementAt } from './warp.ts';

/** What `warp` did to an image of that size. */
export type Motion = {
  readonly size: Size;
  readonly affine: Affine;
  readonly displacement: Displacement | undefined;
};

type Place = { readonly x: number; readonly y: number };

/** Rounds in which a bent place is found; the bend is smooth and small, each round takes most of the rest. */
const ROUNDS = 30;

/** Points of a box's side that are followed where the image is bent; straight maps need the corners alone. */
const STEPS_BENT = 16;

/** Where the content at a place went; coordinates of pixel centres (a centre is a whole number). */
function follow({ size, affine, displacement }: Motion, from: Place): Place {
  const { a, b, c, d, shiftX, shiftY } = affine;
  const [centerX, centerY] = [(size.width - 1) / 2, (size.height - 1) / 2];
  const determinant = a * d - b * c;
  // warp reads `from` at the place `to` with from = A to + shift + bend(to), both counted from the centre.
  const solve = (bendX: number, bendY: number): Place => {
    const x = from.x - centerX - shiftX - bendX;
    const y = from.y - centerY - shiftY - bendY;
    return { x: (d * x - b * y) / determinant + centerX, y: (a * y - c * x) / determinant + centerY };
  };
  let to = solve(0, 0);
  if (displacement === undefined) return to;
  for (let i = 0; i < ROUNDS; i++) {
    const bend = displacementAt(displacement, size, to);
    to = solve(bend.x, bend.y);
  }
  return to;
}

/** The moved point on the canvas, undefined when it left by a pixel or more. */
export function movePoint(motion: Motion, point: Point): Point | undefined {
  const { x, y } = follow(motion, point);
  const { width, height } = motion.size;
  if (!(x > -1 && y > -1 && x < width && y < height)) return undefined;
  const within = (v: number, last: number): number => Math.min(Math.max(v, 0), last);
  return { ...point, x: within(x, width - 1), y: within(y, height - 1) };
}

/** The upright box around the moved box, cut to the canvas; undefined when nothing is left. */
export function moveBox(motion: Motion, box: Box): Box | undefined {
  const steps = motion.displacement === undefined ? 1 : STEPS_BENT;
  const shares = Array.from({ length: steps + 1 }, (_, i) => i / steps);
  const [width, height] = [box.x1 - box.x0, box.y1 - box.y0];
  // Edges lie half a pixel before the centres.
  const rim = shares.flatMap((s) => [
    { x: box.x0 + s * width, y: box.y0 },
    { x: box.x0 + s * width, y: box.y1 },
    { x: box.x0, y: box.y0 + s * height },
    { x: box.x1, y: box.y0 + s * height },
  ]);
  const moved = rim.map(({ x, y }) => follow(motion, { x: x - 0.5, y: y - 0.5 }));
  const [xs, ys] = [moved.map(({ x }) => x + 0.5), moved.map(({ y }) => y + 0.5)];
  const around = { x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys) };
  const cut = clampBox(around, motion.size);
  return cut.x1 > cut.x0 && cut.y1 > cut.y0 ? cut : undefined;
}
