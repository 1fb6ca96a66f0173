// How often each axis is halved, and from which resolution on kernels are 3 wide along it: nnU-Net's rules. Axes are halved
// together where their spacings are within a factor of 2; a coarse axis waits until the others have caught up.

import type { Sizes } from '../config.ts';

export type Topology = {
  /** Halvings of each axis. */
  readonly poolings: Sizes;
  /** Of each stage's first convolution; the first stage's is 1. */
  readonly strides: readonly Sizes[];
  readonly kernelSizes: readonly Sizes[];
  /** The patch, each side enlarged to a multiple of `divisor`. */
  readonly patch: Sizes;
  readonly divisor: Sizes;
};

/**
 * @param spacing of the resampled images, one number an axis, any unit
 * @param patch voxels
 * @param minEdge no axis gets smaller than this, voxels
 */
export function planTopology(spacing: Sizes, patch: Sizes, minEdge: number): Topology {
  const axes = spacing.map((_, axis) => axis);
  const gap = [...spacing];
  const size = [...patch];
  const poolings = axes.map(() => 0);
  const kernel = axes.map(() => 1);
  const strides: Sizes[] = [axes.map(() => 1)];
  const kernelSizes: Sizes[] = [];
  for (;;) {
    const chosen = halvedTogether(gap, size, minEdge);
    if (chosen.length === 0) break;
    const finest = Math.min(...gap);
    for (const axis of axes) if ((gap[axis] as number) / finest < 2) kernel[axis] = 3;
    kernelSizes.push([...kernel]);
    strides.push(axes.map((axis) => (chosen.includes(axis) ? 2 : 1)));
    for (const axis of chosen) {
      poolings[axis] = (poolings[axis] as number) + 1;
      gap[axis] = (gap[axis] as number) * 2;
      size[axis] = Math.ceil((size[axis] as number) / 2);
    }
  }
  kernelSizes.push(axes.map(() => 3)); // the lowest resolution
  const divisor = poolings.map((count) => 2 ** count);
  const fitted = patch.map((side, axis) => {
    const step = divisor[axis] as number;
    return Math.ceil(side / step) * step;
  });
  return { poolings, strides, kernelSizes, patch: fitted, divisor };
}

/** Axes that are halved next; none: this is the lowest resolution. */
function halvedTogether(gap: Sizes, size: Sizes, minEdge: number): number[] {
  const large = gap.map((_, axis) => axis).filter((axis) => (size[axis] as number) >= 2 * minEdge);
  const finest = Math.min(...large.map((axis) => gap[axis] as number));
  const chosen = large.filter((axis) => (gap[axis] as number) / finest < 2);
  // A single axis is halved only while something is left of it.
  if (chosen.length === 1 && (size[chosen[0] as number] as number) < 3 * minEdge) return [];
  return chosen;
}
