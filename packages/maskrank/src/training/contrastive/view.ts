// A view of an image whose class maps are known: a window of it, perhaps mirrored, perhaps seen through a smooth mask as gScoreCAM
// sees images through channels. What the view still shows of each class is counted, so that texts about it are true.
// Coordinates u, v are shares of the view's width and height, 0..1.
// Not here: texts (texts.ts), colours and noise (imaging/augment.ts).

import type { Image } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { ClassMaps } from '../class-maps.ts';

export type View = {
  /** The part of the image, shares of its sides. */
  readonly x0: number;
  readonly y0: number;
  readonly width: number;
  readonly height: number;
  readonly isMirrored: boolean;
  /** How much is seen at each place, GRID x GRID values of 0..1, bilinear between; null: all. */
  readonly reveal: Float32Array | null;
};

export type ViewOptions = {
  /** Part of the views that are windows. */
  readonly crops: number;
  /** Part of the views that are seen through a mask. */
  readonly reveals: number;
};

export const WHOLE: View = { x0: 0, y0: 0, width: 1, height: 1, isMirrored: false, reveal: null };

/** Whether a view is the image as it is. */
export const isWhole = ({ width, height, isMirrored, reveal }: View): boolean =>
  width === 1 && height === 1 && !isMirrored && reveal === null;

/** Sides of a window, shares of the image's, before their ratio changes. */
const WINDOW = [0.5, 1] as const;
/** Logarithm of the change of width against height. */
const STRETCH = 0.25;
/** Places along a side of a mask: as coarse as a small network's channels. */
const GRID = 14;
/** Deviations of the bumps of a mask, in places. */
const BUMP = [0.7, 4.5] as const;

/** A mask like those that channels make: a few bumps with a noisy ground, its range 0..1, sometimes reversed. */
function drawReveal(random: Random): Float32Array {
  const values = new Float32Array(GRID * GRID);
  const bumps = Array.from({ length: random.int(1, 4) }, () => {
    const sd = Math.exp(random.uniform(Math.log(BUMP[0]), Math.log(BUMP[1])));
    const [x, y] = [random.uniform(0, GRID - 1), random.uniform(0, GRID - 1)];
    return { x, y, sdX: sd, sdY: sd * Math.exp(random.uniform(-0.5, 0.5)) };
  });
  const noise = random.uniform(0, 0.35);
  const isReversed = random.chance(0.3);
  for (let i = 0; i < values.length; i++) {
    const [column, row] = [i % GRID, Math.floor(i / GRID)];
    const highest = bumps.reduce(
      (top, { x, y, sdX, sdY }) =>
        Math.max(top, Math.exp(-0.5 * (((column - x) / sdX) ** 2 + ((row - y) / sdY) ** 2))),
      0,
    );
    values[i] = highest + noise * random.next();
  }
  const low = values.reduce((a, b) => Math.min(a, b));
  const high = values.reduce((a, b) => Math.max(a, b));
  const ranged = values.map((v) => (v - low) / (high - low + 1e-6));
  return isReversed ? ranged.map((v) => 1 - v) : ranged;
}

/** A random view; `mayMirror`: no class is named by its side. */
export function drawView(random: Random, { crops, reveals }: ViewOptions, mayMirror: boolean): View {
  const isWindow = random.chance(crops);
  const side = isWindow ? random.uniform(...WINDOW) : 1;
  const ratio = isWindow ? Math.exp(random.uniform(-STRETCH, STRETCH)) : 1;
  const [width, height] = [Math.min(1, side * ratio), Math.min(1, side / ratio)];
  return {
    x0: random.uniform(0, 1 - width),
    y0: random.uniform(0, 1 - height),
    width,
    height,
    isMirrored: mayMirror && random.chance(0.5),
    reveal: random.chance(reveals) ? drawReveal(random.fork('reveal')) : null,
  };
}

/** Value of a square grid at a place, bilinear, corners on corners. */
function valueAt(grid: Float32Array, side: number, u: number, v: number): number {
  const [x, y] = [u * (side - 1), v * (side - 1)];
  const [column, row] = [Math.min(side - 2, Math.floor(x)), Math.min(side - 2, Math.floor(y))];
  const [dx, dy] = [x - column, y - row];
  const i = row * side + column;
  const top = (grid[i] as number) * (1 - dx) + (grid[i + 1] as number) * dx;
  const bottom = (grid[i + side] as number) * (1 - dx) + (grid[i + side + 1] as number) * dx;
  return top * (1 - dy) + bottom * dy;
}

/** How much a view shows of its image at a place. */
const revealed = ({ reveal }: View, u: number, v: number): number =>
  reveal === null ? 1 : valueAt(reveal, GRID, u, v);

/** The window of the image at side x side pixels, bilinear; its mask is not applied. */
export function windowOf(image: Image, { x0, y0, width, height, isMirrored }: View, side: number): Image {
  const { width: w, height: h, channels, data } = image;
  const out = new Uint8Array(side * side * channels);
  for (let row = 0; row < side; row++) {
    const y = Math.min(h - 1, Math.max(0, (y0 + ((row + 0.5) / side) * height) * h - 0.5));
    const top = Math.min(h - 2, Math.floor(y));
    const dy = y - top;
    for (let column = 0; column < side; column++) {
      const seen = isMirrored ? side - 1 - column : column;
      const x = Math.min(w - 1, Math.max(0, (x0 + ((seen + 0.5) / side) * width) * w - 0.5));
      const left = Math.min(w - 2, Math.floor(x));
      const dx = x - left;
      for (let c = 0; c < channels; c++) {
        const i = (top * w + left) * channels + c;
        const j = i + w * channels;
        const above = (data[i] as number) * (1 - dx) + (data[i + channels] as number) * dx;
        const below = (data[j] as number) * (1 - dx) + (data[j + channels] as number) * dx;
        out[(row * side + column) * channels + c] = Math.round(above * (1 - dy) + below * dy);
      }
    }
  }
  return { width: side, height: side, channels, data: out };
}

/** Puts the view's mask on normalised planes [3, side, side]: what is hidden becomes the mean colour. */
export function maskPlanes(planes: Float32Array, side: number, view: View): void {
  if (view.reveal === null) return;
  for (let i = 0; i < side * side; i++) {
    const m = revealed(view, (i % side) / (side - 1), Math.floor(i / side) / (side - 1));
    for (let c = 0; c < 3; c++) planes[c * side * side + i] = (planes[c * side * side + i] as number) * m;
  }
}

/** Share of each class, by number, that the view shows; NaN for classes that are not in the image. */
export function shownShares({ side, bits, classes }: ClassMaps, view: View): Float64Array {
  const [all, shown] = [new Float64Array(classes.length), new Float64Array(classes.length)];
  for (let i = 0; i < bits.length; i++) {
    let rest = bits[i] as number;
    if (rest === 0) continue;
    const u = (((i % side) + 0.5) / side - view.x0) / view.width;
    const v = ((Math.floor(i / side) + 0.5) / side - view.y0) / view.height;
    const isInside = u >= 0 && u < 1 && v >= 0 && v < 1;
    const part = isInside ? revealed(view, view.isMirrored ? 1 - u : u, v) : 0;
    for (let k = 0; rest !== 0; k++, rest >>>= 1) {
      if ((rest & 1) === 0) continue;
      all[k] = (all[k] as number) + 1;
      shown[k] = (shown[k] as number) + part;
    }
  }
  return shown.map((x, k) => x / (all[k] as number));
}

export type PlaceCover = {
  /** Share of each place that a class covers, [places, classes]. */
  readonly cover: Float32Array;
  /** How much of each place is seen. */
  readonly seen: Float32Array;
};

/** Samples along a side of a place. */
const SAMPLES = 4;

/** What lies under grid x grid places of the view. */
export function coverOf({ side, bits, classes }: ClassMaps, view: View, grid: number): PlaceCover {
  const count = classes.length;
  const cover = new Float32Array(grid * grid * count);
  const seen = new Float32Array(grid * grid);
  const part = 1 / SAMPLES ** 2;
  for (let row = 0; row < grid * SAMPLES; row++) {
    const v = (row + 0.5) / (grid * SAMPLES);
    const y = Math.min(side - 1, Math.floor((view.y0 + v * view.height) * side));
    for (let column = 0; column < grid * SAMPLES; column++) {
      const u = (column + 0.5) / (grid * SAMPLES);
      const place = Math.floor(row / SAMPLES) * grid + Math.floor(column / SAMPLES);
      seen[place] = (seen[place] as number) + part * revealed(view, u, v);
      const x = Math.min(side - 1, Math.floor((view.x0 + (view.isMirrored ? 1 - u : u) * view.width) * side));
      let rest = bits[y * side + x] as number;
      for (let k = 0; rest !== 0; k++, rest >>>= 1)
        if ((rest & 1) === 1) cover[place * count + k] = (cover[place * count + k] as number) + part;
    }
  }
  return { cover, seen };
}
