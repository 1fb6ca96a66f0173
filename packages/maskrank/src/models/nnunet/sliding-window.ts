// Prediction of images of any size from patches: overlapping windows, weighted by a Gaussian so that borders of windows count
// little, and the mean over all mirrored views (Isensee et al. 2021). For two and three dimensions.
// Shapes: C channels, K logits, S... the image's sizes, P... the window's.

import { cat, fromTypedArray, nn, type Tensor, zeros } from '@maskrank/torch';
import type { Sizes } from './config.ts';

export type SlidingWindowOptions = {
  readonly window: Sizes;
  /** Distance of neighbouring windows as a share of their size; default 0.5. */
  readonly step?: number;
  /** Whether each window is also seen mirrored along every axis and combination of axes. */
  readonly mirror?: boolean;
};

/** Starts of the windows along an axis: as few as the step allows, evenly spread from edge to edge. */
export function windowStarts(side: number, window: number, step: number): number[] {
  if (side <= window) return [0];
  const count = Math.ceil((side - window) / (window * step)) + 1;
  const distance = (side - window) / (count - 1);
  return Array.from({ length: count }, (_, i) => Math.round(distance * i));
}

/** Weight of each position of a window [P...], 1 in the middle, standard deviations an eighth of the sides, nowhere 0. */
export function gaussianWeights(window: Sizes): Float32Array<ArrayBuffer> {
  let weights = [1];
  for (const side of window) {
    const [centre, sigma] = [Math.floor(side / 2), side / 8];
    const own = Array.from({ length: side }, (_, i) => Math.exp(-((i - centre) ** 2) / (2 * sigma * sigma)));
    weights = weights.flatMap((weight) => own.map((x) => weight * x));
  }
  return Float32Array.from(weights, (weight) => Math.max(weight, 1e-6));
}

/** Logits [1, K, S...] of an image [1, C, S...]. The caller frees and switches gradients off. */
export function slidingWindow(
  forward: (images: Tensor) => Tensor,
  image: Tensor,
  { window, step = 0.5, mirror = false }: SlidingWindowOptions,
): Tensor {
  const sides = image.shape.slice(2);
  const missing = window.map((side, axis) => Math.max(0, side - (sides[axis] as number)));
  const before = missing.map((n) => Math.floor(n / 2));
  const padded = missing.every((n) => n === 0) ? image : padAround(image, before, missing);
  const starts = combinations(
    padded.shape.slice(2).map((side, axis) => windowStarts(side, window[axis] as number, step)),
  );
  const logits = mirror ? mirrored(forward, window.length) : forward;
  const cut = (x: Tensor, from: Sizes, size: Sizes): Tensor =>
    size.reduce((part, side, axis) => part.slice(axis + 2, from[axis], (from[axis] as number) + side), x);

  if (starts.length === 1) return cut(logits(padded), before, sides);
  const weights = fromTypedArray(gaussianWeights(window), [1, 1, ...window]).to(image.device as 'cpu');
  const total = zeros([1, 1, ...padded.shape.slice(2)], { device: image.device });
  let sum: Tensor | undefined;
  for (const start of starts) {
    const seen = logits(cut(padded, start, window)).to('float32'); // [1, K, P...]
    sum ??= zeros([1, seen.size(1), ...padded.shape.slice(2)], { device: image.device });
    cut(sum, start, window).add_(seen.mul(weights));
    cut(total, start, window).add_(weights);
  }
  return cut((sum as Tensor).div(total), before, sides);
}

function padAround(image: Tensor, before: Sizes, missing: Sizes): Tensor {
  const amounts = missing.map((n, axis) => [before[axis] as number, n - (before[axis] as number)]);
  return nn.F.pad(image, amounts.toReversed().flat());
}

/** The mean of the logits over all mirrored views, mirrored back. */
function mirrored(forward: (images: Tensor) => Tensor, dimension: number): (images: Tensor) => Tensor {
  const axes = Array.from({ length: dimension }, (_, axis) => axis + 2);
  const views = combinations(axes.map((axis) => [axis, 0])).map((choice) =>
    choice.filter((axis) => axis > 0),
  );
  return (images) => {
    const seen = views.map((flipped) =>
      flipped.length === 0 ? forward(images) : forward(images.flip(flipped)).flip(flipped),
    );
    return cat(seen, 0)
      .reshape([views.length, ...(seen[0] as Tensor).shape])
      .mean(0);
  };
}

/** Every choice of one number from each list. */
function combinations(lists: readonly (readonly number[])[]): number[][] {
  return lists.reduce<number[][]>((all, list) => all.flatMap((rest) => list.map((x) => [...rest, x])), [[]]);
}
