// Clicks drawn as spots on a mask prompt: 1 where something belongs, -1 where it doesn't, falling off like a Gaussian. As drawn
// boxes do (box-map.ts), they tell a small network within minutes what tokens of places alone teach slowly (discs beat distance
// maps in RITM, Sofiiuk 2022); released models don't have them.
// Shapes: N prompts, P points, Q cells a side of the map (a quarter of the canvas).

import { arange, type Tensor } from '@maskrank/torch';

/** Deviation of a spot, cells. */
const SPOT_CELLS = 1.5;

/**
 * Points [N, P, 2] (x, y in canvas pixels) with labels [N, P] (1 foreground, 0 background, -1 none) as a map [N, 1, Q, Q], -1..1;
 * `cells` is Q, `cell` the side of a cell in canvas pixels.
 */
export function clickMap(
  coords: Tensor,
  labels: Tensor,
  { cells, cell }: { readonly cells: number; readonly cell: number },
): Tensor {
  const { dtype, device } = coords;
  const centres = arange(0, cells, 1, { dtype, device }).add(0.5); // [Q]
  const along = (i: number) =>
    coords
      .slice(2, i, i + 1) // [N, P, 1]
      .add(0.5)
      .div(cell)
      .sub(centres)
      .div(SPOT_CELLS)
      .pow(2)
      .mul(-0.5)
      .exp(); // [N, P, Q]
  const sign = labels.eq(1).to(dtype).sub(labels.eq(0).to(dtype)).unsqueeze(2); // [N, P, 1]
  // The sum over points of (down x across) is one product of matrices.
  const spots = along(1).mul(sign).transpose(1, 2).bmm(along(0)); // [N, Q, Q]
  return spots.clamp(-1, 1).unsqueeze(1);
}
