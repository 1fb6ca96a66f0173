// Attention windows on a grid of tokens. The reference pads the grid at the right and bottom to whole windows; the exact form
// used here cuts it into at most four groups of equal windows (whole, cut at the right, cut at the bottom, cut at both).
// Shapes: B images, H W grid, S side of a window, C channels.

import { cat, nn, type Tensor } from '@maskrank/torch';

/** Equal windows that tile a rectangle of the grid. */
export type WindowGroup = {
  /** First row and column of the rectangle. */
  readonly y: number;
  readonly x: number;
  /** Windows down and across. */
  readonly rows: number;
  readonly columns: number;
  /** Real tokens of a window: rows and columns. */
  readonly height: number;
  readonly width: number;
};

export type Band = { readonly start: number; readonly count: number; readonly size: number };

/** Whole windows along a side, then the window that is cut. */
export function bands(length: number, side: number): Band[] {
  const whole = Math.floor(length / side);
  const rest = length % side;
  const list: Band[] = [];
  if (whole > 0) list.push({ start: 0, count: whole, size: side });
  if (rest > 0) list.push({ start: whole * side, count: 1, size: rest });
  return list;
}

/** The groups of a grid of `height` x `width` tokens, as rows of groups from top to bottom. */
export function windowGroups(height: number, width: number, side: number): WindowGroup[][] {
  return bands(height, side).map((v) =>
    bands(width, side).map((h) => ({
      y: v.start,
      x: h.start,
      rows: v.count,
      columns: h.count,
      height: v.size,
      width: h.size,
    })),
  );
}

/** Puts the groups' tokens [B, h, w, C] back into the grid [B, H, W, C]. */
export function joinGroups(parts: readonly (readonly Tensor[])[]): Tensor {
  const join = (list: readonly Tensor[], dim: number) =>
    list.length === 1 ? (list[0] as Tensor) : cat(list, dim);
  return join(
    parts.map((row) => join(row, 2)),
    1,
  );
}

/** SAM's `window_partition`: pads x [B, H, W, C] with zeros to whole windows. [B * windows, S, S, C] and the padded size. */
export function partition(
  x: Tensor,
  side: number,
): { windows: Tensor; paddedSize: readonly [number, number] } {
  const [b, h, w, c] = x.shape as [number, number, number, number];
  const down = Math.ceil(h / side);
  const across = Math.ceil(w / side);
  const padded = nn.F.pad(x, [0, 0, 0, across * side - w, 0, down * side - h]); // [B, H', W', C]
  const windows = padded
    .view([b, down, side, across, side, c])
    .permute([0, 1, 3, 2, 4, 5]) // [B, down, across, S, S, C]
    .reshape([b * down * across, side, side, c]);
  return { windows, paddedSize: [down * side, across * side] };
}

/** SAM's `window_unpartition`: undoes `partition` and cuts the padding off. [B, H, W, C] */
export function unpartition(
  windows: Tensor,
  paddedSize: readonly [number, number],
  size: readonly [number, number],
): Tensor {
  const [, side, , c] = windows.shape as [number, number, number, number];
  const [down, across] = [paddedSize[0] / side, paddedSize[1] / side];
  return windows
    .view([-1, down, across, side, side, c])
    .permute([0, 1, 3, 2, 4, 5]) // [B, down, S, across, S, C]
    .reshape([-1, paddedSize[0], paddedSize[1], c])
    .slice(1, 0, size[0])
    .slice(2, 0, size[1]);
}
