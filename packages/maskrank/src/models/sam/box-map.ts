// Boxes drawn as a mask prompt: how much of each cell of the prompt map a box covers. A small network trained on few images
// learns from it within minutes what box corners alone teach slowly; released models don't have it.
// Shapes: N prompts, K boxes, Q cells a side of the map (a quarter of the canvas).

import { arange, type Tensor } from '@maskrank/torch';

/** Part 0..1 of every cell along one axis that lies between `from` and `to` [N, K, 1]; cells begin at `starts` [Q]. */
function cover(from: Tensor, to: Tensor, starts: Tensor, cell: number): Tensor {
  return to.minimum(starts.add(cell)).sub(from.maximum(starts)).clamp(0).div(cell); // [N, K, Q]
}

/**
 * Boxes [N, K, 4] (x0, y0, x1, y1 in canvas pixels) of which `present` [N, K] are 1 (absent: all) as a map [N, 1, Q, Q] of
 * the area they cover, 0..1; `cells` is Q, `cell` the side of a cell in canvas pixels.
 */
export function boxMap(
  boxes: Tensor,
  present: Tensor | undefined,
  { cells, cell }: { readonly cells: number; readonly cell: number },
): Tensor {
  const { dtype, device } = boxes;
  const starts = arange(0, cells * cell, cell, { dtype, device }); // [Q]
  const side = (i: number) => boxes.slice(2, i, i + 1); // [N, K, 1]
  const across = cover(side(0), side(2), starts, cell).unsqueeze(2); // [N, K, 1, Q]
  const down = cover(side(1), side(3), starts, cell).unsqueeze(3); // [N, K, Q, 1]
  const covered = down.mul(across); // [N, K, Q, Q]
  const real = present === undefined ? covered : covered.mul(present.unsqueeze(2).unsqueeze(3));
  return real.amax([1], true);
}
